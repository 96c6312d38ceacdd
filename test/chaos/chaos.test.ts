/**
 * A few steps of chaos on real processes: main.js says how it is run for longer. The seed is one whose first steps kill the leader, a
 * TaskManager and a ZooKeeper server, cut off and mute TaskManagers, and wipe a data directory.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { pause } from '../support/faults.js'

const SEED = 32_884
const STEPS = 4
/** ZooKeeper servers, their launchers or daemons: the run is under way. */
const PROCESSES = 6
const POLL_MS = 100
const INTERRUPTED = 130

function startRun(t: ExecutionContext, ...args: string[]) {
  t.timeout(600_000)
  const directory = mkdtempSync(join(tmpdir(), 'flott-chaos-test-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  const small = ['--jobmanagers', '2', '--taskmanagers', '2']
  const child = spawn(process.execPath, ['dist/test/chaos/main.js', ...small, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, TMPDIR: directory },
  })
  const killed = () => child.kill('SIGKILL')
  process.once('exit', killed)
  const run = { child, directory, output: '', ended: once(child, 'close').then(([code]) => code as number) }
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (run.output += String(data)))
  void run.ended.then(() => process.off('exit', killed))
  return run
}

test.serial('output and acknowledged operations survive some steps of chaos', async (t) => {
  const run = startRun(t, '--seed', String(SEED), '--steps', String(STEPS))
  const code = await run.ended
  t.is(code, 0, run.output)
  const report = JSON.parse(run.output.trim().split('\n').at(-1)!) as Record<string, never> & {
    hosts: string
    faults: number
    records: number
  }
  t.deepEqual(report['violations'], [])
  t.true(report.records > 0)
  if (report.hosts === 'one') t.log('network namespaces are not permitted here: one host, no faults of links')
  else t.true(report.faults >= STEPS, run.output)
  t.log(report)
})

test.serial('an interrupted run leaves nothing behind', async (t) => {
  const run = startRun(t, '--seed', String(SEED), '--minutes', '10')
  while (run.child.exitCode === null && processesNaming(run.directory).length < PROCESSES) await pause(POLL_MS)
  t.is(run.child.exitCode, null, run.output)
  run.child.kill('SIGINT')
  t.is(await run.ended, INTERRUPTED, run.output)
  t.deepEqual(readdirSync(run.directory), [])
  t.deepEqual(processesNaming(run.directory), [])
})

function processesNaming(directory: string): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')
      } catch {
        return '' // It has ended.
      }
    })
    .filter((command) => command.includes(directory))
}
