/** TaskManagers leave a job on real processes: by `flott drain`, and by SIGTERM where nothing can be moved. The output is right all the same. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import type { DrainResponse } from '#protocol/rest/drain.js'
import type { CheckpointsResponse, ExceptionsResponse, TaskManagersResponse, VertexDetailsResponse } from '#protocol/rest/responses.js'
import { committedLines } from '../../support/numbered-counts.js'
import { ProcessCluster } from '../../support/process-cluster.js'

const PROGRAM = 'test/integration/jobs/numbered-counts.ts'
const KEYS = 50
const RATE = 1_000
/** More than the test has time for: it says when it has seen enough. */
const RECORDS = RATE * 10_000

/** Lines that are missing before others of their key, or there twice. */
function mistakesOf(lines: readonly string[]): string[] {
  const next = new Map<string, number>()
  const wrong: string[] = []
  for (const [key, n] of lines.map((line) => line.split(' ') as [string, string]).sort((a, b) => Number(a[1]) - Number(b[1]))) {
    const expected = next.get(key) ?? 1
    if (Number(n) !== expected) wrong.push(`${key} ${n} instead of ${expected}`)
    next.set(key, Number(n) + 1)
  }
  return wrong.slice(0, 20)
}

test('a TaskManager is drained, another one is stopped: its tasks move, none of its slots is missed', async (t) => {
  t.timeout(300_000)
  const cluster = await ProcessCluster.start({ jobManagers: 1, taskManagers: 3, slots: 2 })
  t.teardown(() => cluster.stop())
  const output = mkdtempSync(join(tmpdir(), 'flott-counts-'))
  t.teardown(() => rmSync(output, { recursive: true, force: true }))
  const job = cluster.startFlott(['run', PROGRAM, String(RECORDS), String(KEYS), String(RATE), output])
  const completed = async (id: string) => (await cluster.rest<CheckpointsResponse>(`/jobs/${id}/checkpoints`)).latest.completed?.id ?? 0
  const jobId = await cluster.until('a checkpoint is complete', async () => {
    const running = (await cluster.jobs()).find(({ state }) => state === 'RUNNING')
    return running && (await completed(running.jid)) > 0 && running.jid
  })
  const used = async () => {
    const { vertices } = await cluster.job(jobId)
    const details = await Promise.all(vertices.map(({ id }) => cluster.rest<VertexDetailsResponse>(`/jobs/${jobId}/vertices/${id}`)))
    return new Set(details.flatMap(({ subtasks }) => subtasks.map((subtask) => subtask['taskmanager-id'])))
  }
  const before = await used()
  t.is(before.size, 2)
  const [drained, stopped] = ['tm-0', 'tm-1', 'tm-2'].filter((id) => before.has(id)) as [string, string]
  const daemonOf = (id: string) => cluster.taskManagers[Number(id.slice(3))]!

  const nobody = await cluster.flott(['drain', 'nobody'])
  t.is(nobody.code, 6, nobody.stderr)
  t.regex(nobody.stderr, /NOT_FOUND: no TaskManager nobody is registered/)

  const drain = await cluster.flott(['drain', drained, '--json'])
  t.is(drain.code, 0, `${drain.stderr}\n${cluster.logs()}`)
  const { 'taskmanager-id': id, state, slots } = JSON.parse(drain.stdout) as DrainResponse
  t.deepEqual({ id, state, slots }, { id: drained, state: 'DRAINED', slots: 0 })
  await cluster.until('its process has ended', async () => !daemonOf(drained).isRunning)
  t.is(await daemonOf(drained).kill('SIGTERM'), 0)
  const { taskmanagers } = await cluster.rest<TaskManagersResponse>('/taskmanagers')
  t.deepEqual(
    taskmanagers.map((tm) => [tm.id === drained, tm.slotsNumber, tm.blocked]),
    [
      [false, 2, false],
      [false, 2, false],
    ],
  )
  t.false((await used()).has(drained))
  t.deepEqual((await cluster.rest<ExceptionsResponse>(`/jobs/${jobId}/exceptions`)).exceptionHistory.entries, [])

  // There is no free slot left: it does not wait for one.
  t.is(await daemonOf(stopped).kill('SIGTERM'), 0)
  t.regex(daemonOf(stopped).log, /2 slots are in use that can not be moved; job [0-9a-f]{32}: needs 2 slots of group default, 0 are free/)
  await daemonOf(drained).start() // Another process of the same name is a TaskManager like any other.
  const reached = await cluster.until('all tasks run', async () => {
    const { 'status-counts': counts } = await cluster.job(jobId)
    return counts.RUNNING === 8 && (await completed(jobId))
  })
  await cluster.until('two more checkpoints are complete', async () => (await completed(jobId)) > reached + 1)
  t.is((await cluster.flott(['cancel', jobId])).code, 0)
  t.is((await job.result).code, 4)
  const lines = committedLines(output)
  t.true(lines.length > KEYS)
  t.deepEqual(mistakesOf(lines), [], cluster.logs())
  await cluster.until('all slots are free', async () => (await cluster.overview())['slots-available'] === 4)
})
