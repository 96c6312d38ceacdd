/** Runs a job on a cluster elsewhere: `remote HOST PORT`. */
import { StreamExecutionEnvironment } from 'flott'
import { words } from './inputs.js'

const [host = '', port] = process.argv.slice(2)
const env = StreamExecutionEnvironment.createRemoteEnvironment(host, Number(port), { 'parallelism.default': 2 })
const counts = await env
  .fromData(words, 'words')
  .map((word) => ({ word, count: 1 }), 'pairs')
  .keyBy('word')
  .sum('count', 'counts')
  .executeAndCollect()
console.log(JSON.stringify(counts))
