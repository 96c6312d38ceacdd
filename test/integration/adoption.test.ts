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

async function attemptsOf(cluster: ProcessCluster, jobId: string): Promise<string[]> {
  const { vertices } = await cluster.job(jobId)
  const details = await Promise.all(vertices.map(({ id }) => cluster.rest<VertexDetailsResponse>(`/jobs/${jobId}/vertices/${id}`)))
  return details.flatMap(({ name, subtasks }) =>
    subtasks.map(({ subtask, attempt, endpoint }) => `${name} ${subtask} #${attempt} on ${endpoint}`),
  )
}

/** How many records each subtask saw between two moments. */
function recordsBetween(stamps: string, from: number, to: number): number[] {
  const directory = join(stamps, '..')
  return readdirSync(directory).map((name) => {
    const times = readFileSync(join(directory, name), 'utf8').split('\n').slice(0, -1).map(Number)
    return times.filter((time) => time > from && time < to).length
  })
}

/**
 * Runs the job, disturbs the cluster in the middle of it, and checks that the tasks did not notice. `disturb` resolves when there is a
 * leader again, with the time since which there was none.
 */
async function runsOnThrough(t: ExecutionContext, cluster: ProcessCluster, disturb: () => Promise<number>): Promise<void> {
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

  const leaderlessFrom = await disturb()
  const ledAgain = Date.now()
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
  const meanwhile = recordsBetween(stamps, leaderlessFrom, ledAgain)
  t.true(meanwhile.length > 0 && meanwhile.every((count) => count > 0), `records a subtask while nobody led: ${meanwhile}`)
}

for (const fault of ['kill-leader', 'stop-leader'] satisfies FaultName[])
  test.serial(`${fault}: another one leads, and nothing restarts`, async (t) => {
    t.timeout(300_000)
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
      const from = Date.now()
      await injectFault(fault, { cluster, zookeeper, random: seededRandom(1), sessionTimeoutMs: SESSION_TIMEOUT_MS })
      await cluster.until('another one leads', async () => (await cluster.leader()) !== former)
      return from
    })
  })

test.serial('the only JobManager, without ZooKeeper, is killed and comes back: nothing restarts', async (t) => {
  t.timeout(300_000)
  const cluster = await ProcessCluster.start({ jobManagers: 1, taskManagers: 2, slots: 2 })
  t.teardown(() => cluster.stop())
  await runsOnThrough(t, cluster, async () => {
    const [jobManager] = cluster.jobManagers
    await jobManager!.kill('SIGKILL')
    const from = Date.now()
    await jobManager!.start()
    return from
  })
})
