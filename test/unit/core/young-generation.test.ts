import { execFile } from 'node:child_process'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import test from 'ava'

/** Fills the young generation and says how large it became, in MB: a worker with a limit of its own, then the daemon's main thread. */
const PROGRAM = `
  import { Worker } from 'node:worker_threads'
  import { getHeapSpaceStatistics } from 'node:v8'
  function fill() {
    const kept = []
    for (let i = 0; i < 3_000_000; i++) kept[i % 200_000] = { i, also: [i] }
    return getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space').space_size / 2 ** 20
  }
  const { runDaemon } = await import(process.env.DAEMON_PROCESS)
  await runDaemon('test', async () => {
    const source = [
      'import { parentPort } from "node:worker_threads"; import { getHeapSpaceStatistics } from "node:v8"',
      fill.toString(),
      'parentPort.postMessage(fill())',
    ].join(';')
    const url = new URL('data:text/javascript,' + encodeURIComponent(source))
    const worker = new Worker(url, { resourceLimits: { maxYoungGenerationSizeMb: 96 } })
    const grown = await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject))
    process.stdout.write(JSON.stringify({ grown, own: fill() }))
    process.exit(0)
  }, ['--configDir', 'conf'])
`

test('a small young generation is for the main thread of a daemon, not for its workers', async (t) => {
  const env = { ...process.env, DAEMON_PROCESS: pathToFileURL(resolve('dist/daemon/core/daemon-process.js')).href }
  const args = ['--max-semi-space-size=4', '--input-type=module', '--eval', PROGRAM]
  const { stdout } = await promisify(execFile)(process.execPath, args, { env })
  const { grown, own } = JSON.parse(stdout) as { grown: number; own: number }
  t.true(own <= 8, `${own} MB`)
  t.true(grown > 16, `${grown} MB`)
})
