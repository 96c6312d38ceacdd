/**
 * npm run -s bench -- NAME [--records N] [--keys K] [--parallelism P] [--taskmanagers T] [--victim leader|taskmanager]
 * [--unsupervised] [--profile-dir D] --json
 * NAME: chain, keyed, words, failover, or one of the parts (test/bench/NAME.bench.ts). Without a NAME: all of them, one JSON line each.
 */
import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { runClusterBench } from './cluster.bench.js'
import { runFailoverBench } from './failover.bench.js'

const DEFAULT_RECORDS = { chain: 100_000_000, keyed: 20_000_000, words: 5_000_000 } as const
const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    records: { type: 'string' },
    keys: { type: 'string', default: '100000' },
    parallelism: { type: 'string', default: '2' },
    taskmanagers: { type: 'string', default: '1' },
    checkpoint: { type: 'string', default: '1 s' },
    'profile-dir': { type: 'string' },
    victim: { type: 'string' },
    unsupervised: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
})
const PARTS = readdirSync(import.meta.dirname)
  .filter((name) => name.endsWith('.bench.js') && !/^(cluster|failover)\./.test(name))
  .map((name) => name.replace('.bench.js', ''))

type Job = keyof typeof DEFAULT_RECORDS

async function run(name: string): Promise<void> {
  if (Object.hasOwn(DEFAULT_RECORDS, name)) {
    const job = name as Job
    const records = Number(values.records ?? DEFAULT_RECORDS[job])
    const options = {
      job,
      records,
      keys: Number(values.keys),
      parallelism: Number(values.parallelism),
      taskManagers: Number(values.taskmanagers),
      ...(values['profile-dir'] === undefined ? {} : { profileDir: values['profile-dir'] }),
    }
    return print(await runClusterBench({ ...options, checkpointInterval: values.checkpoint }))
  }
  if (name === 'failover') {
    for (const victim of values.victim === undefined ? (['leader', 'taskmanager'] as const) : [victimOf(values.victim)])
      print(await runFailoverBench(victim, !values.unsupervised))
    return
  }
  if (!PARTS.includes(name)) throw new Error(`unknown benchmark '${name}': chain, keyed, words, failover, ${PARTS.join(', ')}`)
  // In a process of its own: one part's garbage and compiled code must not weigh on the next.
  const { status } = spawnSync(process.execPath, ['--expose-gc', join(import.meta.dirname, `${name}.bench.js`)], { stdio: 'inherit' })
  if (status !== 0) throw new Error(`${name} ended with ${status}`)
}

function victimOf(text: string): 'leader' | 'taskmanager' {
  if (text !== 'leader' && text !== 'taskmanager') throw new Error(`--victim leader or taskmanager, not '${text}'`)
  return text
}
function print(result: object): void {
  process.stdout.write(`${JSON.stringify(result, undefined, values.json ? undefined : 2)}\n`)
}

for (const name of positionals.length > 0 ? positionals : ['chain', 'keyed', 'words', 'failover', ...PARTS]) await run(name)
