/**
 * The leader dies, or is stopped for longer than its session lasts, under a job on real processes: the tasks run on, under the attempt
 * numbers that they had, and their records keep coming; checkpoints, restarts and exceptions are as if nothing had happened.
 */
import { mkdtempSync, readdirSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { seededRandom } from '#core/random.js'
import type { CheckpointsResponse, ExceptionsResponse, VertexDetailsResponse } from '#protocol/rest/responses.js'
import { type FaultName, injectFault } from '../support/faults.js'
import { committedLines, mistakesOf, NO_MISTAKES } from '../support/numbered-counts.js'
import { ProcessCluster } from '../support/process-cluster.js'
import { ZooKeeperServer } from '../support/zookeeper-server.js'

const SESSION_TIMEOUT_MS = 2_000
const KEYS = 50
const RATE = 1_000
const RECORDS = RATE * 14
/** Records come 250 a second and subtask; what is longer was no task that ran on, unless the machine was that slow before, too. */
const GAP_MS = 300

async function attemptsOf(cluster: ProcessCluster, jobId: string): Promise<string[]> {
  const { vertices } = await cluster.job(jobId)
  const details = await Promise.all(vertices.map(({ id }) => cluster.rest<VertexDetailsResponse>(`/jobs/${jobId}/vertices/${id}`)))
  return details.flatMap(({ name, subtasks }) =>
    subtasks.map(({ subtask, attempt, endpoint }) => `${name} ${subtask} #${attempt} on ${endpoint}`),
  )
}

/** The longest time without a record of a subtask, before and after a moment. */
function largestGaps(stamps: string, moment: number): { before: number; after: number } {
  const directory = join(stamps, '..')
  let before = 0
  let after = 0
  for (const name of readdirSync(directory)) {
    const times = readFileSync(join(directory, name), 'utf8').split('\n').slice(0, -1).map(Number)
    for (let i = 1; i < times.length; i++) {
      const gap = times[i]! - times[i - 1]!
      if (times[i]! < moment) before = Math.max(before, gap)
      else after = Math.max(after, gap)
    }
  }
  return { before, after }
}

/** Runs the job, disturbs the cluster in the middle of it, and checks that the tasks did not notice. */
async function runsOnThrough(t: ExecutionContext, cluster: ProcessCluster, disturb: () => Promise<unknown>): Promise<void> {
  const output = mkdtempSync(join(tmpdir(), 'flott-counts-'))
  const stamps = join(mkdtempSync(join(tmpdir(), 'flott-stamps-')), 'stamps')
  const program = 'test/integration/jobs/numbered-counts.ts'
  const { code, stderr } = await cluster.flott(['run', '-d', program, String(RECORDS), String(KEYS), String(RATE), output, stamps])
  t.is(code, 0, stderr)
  const checkpointsOf = (id: string) => cluster.rest<CheckpointsResponse>(`/jobs/${id}/checkpoints`)
  const jobId = await cluster.until('three checkpoints are complete', async () => {
    const running = (await cluster.jobs()).find(({ state }) => state === 'RUNNING')
    return running && (await checkpointsOf(running.jid)).counts.completed >= 3 && running.jid
  })
  const attempts = await attemptsOf(cluster, jobId)
  const { counts, latest } = await checkpointsOf(jobId)
  const moment = Date.now()

  await disturb()
  await cluster.until('the job is led again, and checkpoints go on', async () => {
    const { state } = await cluster.job(jobId)
    return state === 'RUNNING' && ((await checkpointsOf(jobId)).latest.completed?.id ?? 0) > latest.completed!.id
  })
  t.deepEqual(await attemptsOf(cluster, jobId), attempts)
  const after = await checkpointsOf(jobId)
  t.true(after.counts.completed > counts.completed)
  t.is(after.counts.restored, 0)

  await cluster.until('the job is FINISHED', async () => (await cluster.job(jobId)).state === 'FINISHED')
  t.deepEqual(mistakesOf(committedLines(output), RECORDS, KEYS), NO_MISTAKES, cluster.logs())
  t.is((await cluster.job(jobId)).restarts, 0)
  t.deepEqual((await cluster.rest<ExceptionsResponse>(`/jobs/${jobId}/exceptions`)).exceptionHistory.entries, [])
  const gaps = largestGaps(stamps, moment)
  t.log(gaps)
  t.true(gaps.after < Math.max(GAP_MS, 3 * gaps.before), `${gaps.after} ms without a record; ${gaps.before} ms before\n${cluster.logs()}`)
}

for (const fault of ['kill-leader', 'stop-leader'] satisfies FaultName[])
  test.serial(`${fault}: another one leads, and nothing restarts`, async (t) => {
    t.timeout(180_000)
    const zookeeper = await ZooKeeperServer.start()
    t.teardown(() => zookeeper.remove())
    const cluster = await ProcessCluster.start({
      jobManagers: 2,
      taskManagers: 2,
      slots: 2,
      zookeeper: zookeeper.connect,
      settings: { 'high-availability.zookeeper.client.session-timeout': `${SESSION_TIMEOUT_MS} ms` },
    })
    t.teardown(() => cluster.stop())
    await runsOnThrough(t, cluster, async () => {
      const former = await cluster.leader()
      await injectFault(fault, { cluster, zookeeper, random: seededRandom(1), sessionTimeoutMs: SESSION_TIMEOUT_MS })
      await cluster.until('another one leads', async () => (await cluster.leader()) !== former)
    })
  })

test.serial('the only JobManager, without ZooKeeper, is killed and comes back: nothing restarts', async (t) => {
  t.timeout(180_000)
  const cluster = await ProcessCluster.start({ jobManagers: 1, taskManagers: 2, slots: 2 })
  t.teardown(() => cluster.stop())
  await runsOnThrough(t, cluster, async () => {
    const [jobManager] = cluster.jobManagers
    await jobManager!.kill('SIGKILL')
    await jobManager!.start()
  })
})
