/**
 * Two jobs share one TaskManager, a slot each. Whatever one of them does wrong, the other goes on without a restart and gives exactly
 * its reference output, the TaskManager's process is the same one, and the slot is free again.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import type { CheckpointsResponse } from '#protocol/rest/responses.js'
import { committedLines, mistakesOf, NO_MISTAKES } from '../../support/numbered-counts.js'
import { type CommandResult, ProcessCluster } from '../../support/process-cluster.js'

const KEYS = 10
const PROGRAMS = 'test/integration/cli/programs'
let cluster: ProcessCluster
let directory: string
let steady: string
let result: Promise<CommandResult>
let taskManagerPid: number

test.before(async () => {
  directory = mkdtempSync(join(tmpdir(), 'flott-two-jobs-'))
  cluster = await ProcessCluster.start({
    jobManagers: 1,
    taskManagers: 1,
    slots: 2,
    settings: { 'taskmanager.memory.managed.size': '192 mb', 'task.watchdog.timeout': '2 s', 'task.cancellation.timeout': '2 s' },
  })
  taskManagerPid = cluster.taskManagers[0]!.pid
  const args = ['run', '-p', '1', `${PROGRAMS}/steady-counts.ts`, String(KEYS), join(directory, 'stop'), join(directory, 'counts')]
  result = cluster.flott(args)
  steady = await cluster.until('the steady job has a checkpoint', async () => {
    const [job] = await cluster.jobs()
    return job !== undefined && (await completedCheckpoints(job.jid)) > 0 && job.jid
  })
})
test.after.always(async () => {
  await cluster?.stop()
  rmSync(directory, { recursive: true, force: true })
})

async function completedCheckpoints(jobId: string): Promise<number> {
  return (await cluster.rest<CheckpointsResponse>(`/jobs/${jobId}/checkpoints`)).counts.completed
}
/** The steady job has taken a checkpoint after all this, in its first attempt; the other's slot is free. */
async function unharmed(t: ExecutionContext): Promise<void> {
  const before = await completedCheckpoints(steady)
  await cluster.until('the steady job takes another checkpoint', async () => (await completedCheckpoints(steady)) > before + 1)
  const job = await cluster.job(steady)
  t.deepEqual([job.state, job.restarts], ['RUNNING', 0], cluster.logs())
  await cluster.until('the slot is free', async () => (await cluster.overview())['slots-available'] === 1)
  t.true(cluster.taskManagers[0]!.isRunning)
  t.is(cluster.taskManagers[0]!.pid, taskManagerPid)
}
const misbehave = (what: string) => ['run', '-p', '1', `${PROGRAMS}/misbehaves.ts`, what]

test.serial('it is made of the same program', async (t) => {
  const output = join(directory, 'twin')
  const stop = join(directory, 'stop-twin')
  const twin = cluster.flott(['run', '-p', '1', `${PROGRAMS}/steady-counts.ts`, String(KEYS), stop, output])
  await cluster.until('the twin has checkpoints', async () => {
    const found = (await cluster.jobs()).find(({ jid, state }) => jid !== steady && state === 'RUNNING')
    return found !== undefined && (await completedCheckpoints(found.jid)) > 1
  })
  writeFileSync(stop, '')
  const { code, stderr } = await twin
  t.is(code, 0, stderr)
  const lines = committedLines(output)
  t.deepEqual(mistakesOf(lines, lines.length, KEYS), NO_MISTAKES)
  await unharmed(t)
})

test.serial('its user function throws', async (t) => {
  const { code, stderr } = await cluster.flott(misbehave('throws'))
  t.is(code, 3, stderr)
  t.regex(stderr, /USER_FUNCTION_FAILED.*'parse'/)
  t.regex(stderr, /declared at \S*misbehaves\.ts:39:\d+/)
  t.regex(stderr, /RangeError: 100 is out of range/)
  t.regex(stderr, /at parse \(\S*misbehaves\.ts:25:\d+\)/)
  await unharmed(t)
})

test.serial('it is cancelled', async (t) => {
  const { stdout } = await cluster.flott([...misbehave('runs-on').toSpliced(1, 0, '-d', '--json')])
  const { jobId } = JSON.parse(stdout) as { jobId: string }
  await cluster.until('it runs', async () => (await cluster.job(jobId))['status-counts'].RUNNING === 1)
  const cancelled = await cluster.flott(['cancel', jobId])
  t.is(cancelled.code, 0, cancelled.stderr)
  t.is((await cluster.job(jobId)).state, 'CANCELED')
  await unharmed(t)
})

test.serial('its state outgrows the slot', async (t) => {
  const { code, stderr } = await cluster.flott(misbehave('outgrows-its-memory'))
  t.is(code, 3, stderr)
  t.regex(stderr, /MEMORY_EXCEEDED/)
  t.regex(stderr, /share of 96 MiB/)
  t.regex(stderr, /remembers all/)
  await unharmed(t)
})

test.serial('it never returns from user code', async (t) => {
  const { code, stderr } = await cluster.flott(misbehave('blocks'))
  t.is(code, 3, stderr)
  t.regex(stderr, /TASK_BLOCKED/)
  await unharmed(t)
})

test.serial('it is cancelled while it never returns from user code', async (t) => {
  const { stdout } = await cluster.flott([...misbehave('blocks').toSpliced(1, 0, '-d', '--json')])
  const { jobId } = JSON.parse(stdout) as { jobId: string }
  await cluster.until('it runs', async () => (await cluster.job(jobId))['status-counts'].RUNNING === 1)
  // Without the time that the command line takes to start: the watchdog is quick here.
  const cancelled = await fetch(`${cluster.jobManagers[0]!.restUrl}/jobs/${jobId}?mode=cancel`, { method: 'PATCH' })
  t.is(cancelled.status, 202)
  await cluster.until('it is CANCELED', async () => (await cluster.job(jobId)).state === 'CANCELED')
  await unharmed(t)
})

test.serial('the other job gives exactly its reference output', async (t) => {
  writeFileSync(join(directory, 'stop'), '')
  const { code, stderr } = await result
  t.is(code, 0, stderr)
  const lines = committedLines(join(directory, 'counts'))
  t.true(lines.length > 0 && lines.length % KEYS === 0, `${lines.length} lines`)
  t.deepEqual(mistakesOf(lines, lines.length, KEYS), NO_MISTAKES)
  t.is((await cluster.job(steady)).restarts, 0)
  await cluster.until('both slots are free', async () => (await cluster.overview())['slots-available'] === 2)
})
