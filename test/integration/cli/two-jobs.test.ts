/**
 * Two jobs share one TaskManager, a slot each. Whatever one of them does wrong, the other goes on without a restart and gives exactly
 * its reference output, the TaskManager's process is the same one, and the slot is free again.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
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
    settings: { 'taskmanager.memory.managed.size': '192 mb', 'task.watchdog.timeout': '4 s', 'task.cancellation.timeout': '2 s' },
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
const source = readFileSync(`${PROGRAMS}/misbehaves.ts`, 'utf8').split('\n')
/** A position in the program's line that holds this text. */
function lineWith(text: string): string {
  const line = source.findIndex((l) => l.includes(text)) + 1
  if (line === 0) throw new Error(`the program has no line with ${text}`)
  return `\\S*misbehaves\\.ts:${line}:\\d+`
}

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
  t.regex(stderr, new RegExp(`declared at ${lineWith("map(parse, 'parse')")}`))
  t.regex(stderr, /RangeError: 100 is out of range/)
  t.regex(stderr, new RegExp(`at parse \\(${lineWith('throw new RangeError')}\\)`))
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

const GROWS: readonly (readonly [string, string, string, string])[] = [
  ['its state outgrows the slot', 'outgrows-its-memory', 'remembers all', 'new RemembersAll()'],
  ['an array that its function keeps outgrows the slot', 'keeps-an-array', 'keeps an array', "'keeps an array'"],
  ['buffers that its function keeps outgrow the slot', 'keeps-buffers', 'keeps buffers', "'keeps buffers'"],
]
for (const [title, what, operator, declaration] of GROWS)
  test.serial(title, async (t) => {
    const { code, stderr } = await cluster.flott(misbehave(what))
    t.is(code, 3, stderr)
    t.regex(stderr, /MEMORY_EXCEEDED/)
    t.regex(stderr, /share of 96 MiB/)
    // The source, a task of its own in the slot, may be the one that finds it.
    t.regex(stderr, new RegExp(`operator '(?:${operator}' \\(uid '\\S.*', declared at ${lineWith(declaration)}\\)|Source: numbers' )`))
    t.regex(stderr, /vertex '.*', subtask 0 of 1/)
    await unharmed(t)
  })

/** Title, what, operator, the line that declares it, the line where it is; a native call tells none. */
const BLOCKS: readonly (readonly [string, string, string, string, string?])[] = [
  ['it never returns from map', 'blocks', 'spin', "map(spin, 'spin')", 'while (n >= 10) n++'],
  ['it never returns from a keyed process function', 'blocks-in-process', 'spins', '.process(new Spins', 'if (n >= 10) for'],
  ['it never returns from open', 'blocks-in-open', 'spins', '.process(new Spins', 'while (n >= 10) n++'],
  ['it calls the library for ever', 'blocks-in-library', 'parses for ever', "'parses for ever'", 'last = JSON.parse(text)'],
  ['it waits in native code', 'blocks-in-native', 'sleeps', "map(sleeps, 'sleeps')"],
]
for (const [title, what, operator, declaration, line] of BLOCKS)
  test.serial(title, async (t) => {
    const { code, stderr } = await cluster.flott(misbehave(what))
    t.is(code, 3, stderr)
    t.regex(stderr, /TASK_BLOCKED: job 'a job that blocks\S*' \([0-9a-f]{32}\)/)
    t.regex(
      stderr,
      new RegExp(`operator '${operator}' \\(uid '\\S.*', declared at ${lineWith(declaration)}\\) of vertex '.*', subtask 0 of 1:`),
    )
    if (line === undefined) t.notRegex(stderr, /its code is at/)
    else t.regex(stderr, new RegExp(`its code is at .*${lineWith(line)}`))
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
