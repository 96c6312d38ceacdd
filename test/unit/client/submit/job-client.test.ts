import test from 'ava'
import { accumulator, aggregates, StreamExecutionEnvironment } from '#client/index.js'
import type { ClusterClient, JobResult } from '#client/submit/cluster-client.js'
import { ClusterJobClient } from '#client/submit/job-client.js'
import { ArtifactExecutor } from '#client/submit/job-executor.js'
import { EphemeralClusterClient, slotsNeeded } from '#client/submit/local-executor.js'
import { closeProgramSession, openProgramSession } from '#client/submit/program-session.js'
import { FlottError, serializeError } from '#core/errors.js'
import type { JobGraph } from '#protocol/graph/job-graph.js'
import type { JobStatus } from '#protocol/ha/facts.js'
import { FakeClock } from '../../../support/fake-clock.js'

const finished: JobResult = { jobId: 'j', status: 'FINISHED', netRuntimeMs: 5, accumulators: {} }

/** A cluster that gives out so many records a fetch, and then the result. */
class StubCluster implements ClusterClient {
  readonly submitted: JobGraph[] = []
  readonly calls: string[] = []
  statuses: JobStatus[] = ['FINISHED']
  records: unknown[] = []
  constructor(private readonly result: JobResult = finished) {}
  async submitJob(jobGraph: JobGraph) {
    this.submitted.push(jobGraph)
  }
  async getJobStatus() {
    return this.statuses.length > 1 ? this.statuses.shift()! : this.statuses[0]!
  }
  async requestJobResult() {
    return this.result
  }
  async cancelJob() {
    this.calls.push('cancel')
  }
  async fetchCollected({ after }: { after: number }) {
    const records = this.records.slice(after, after + 2)
    return { records, next: after + records.length, ended: after + records.length === this.records.length }
  }
  async close() {
    this.calls.push('close')
  }
}

test('the result of a job: accumulators, failure with its cause, cancellation', async (t) => {
  const count = accumulator('n', aggregates.count())
  const clock = new FakeClock()
  const client = (result: Partial<JobResult>) => new ClusterJobClient('j', new StubCluster({ ...finished, ...result }), clock)
  t.is((await client({ accumulators: { n: { n: 3 } } }).getJobExecutionResult()).accumulator(count), 3)
  t.is((await client({}).getJobExecutionResult()).accumulator(count), 0)
  const inTask = new FlottError('USER_FUNCTION_FAILED', 'boom', { operator: 'words', cause: new TypeError('x is undefined') })
  const failure = serializeError(new FlottError('JOB_FAILED', 'no restarts: boom', { cause: inTask }))
  const error = (await t.throwsAsync(client({ status: 'FAILED', failure }).getJobExecutionResult(), { code: 'JOB_FAILED' })) as FlottError
  t.is(error.operator, 'words')
  t.is(error.message, 'JOB_FAILED: job j: no restarts: boom')
  t.is(((error.cause as FlottError).cause as FlottError).code, 'USER_FUNCTION_FAILED')
  await t.throwsAsync(client({ status: 'CANCELED' }).getJobExecutionResult(), { code: 'JOB_CANCELED' })
})

test('each change of status once, to the final one', async (t) => {
  const cluster = new StubCluster()
  cluster.statuses = ['CREATED', 'RUNNING', 'RUNNING', 'RESTARTING', 'RUNNING', 'FINISHED']
  const clock = new FakeClock()
  const seen: JobStatus[] = []
  const watching = (async () => {
    for await (const status of new ClusterJobClient('j', cluster, clock).jobStatusChanges()) seen.push(status)
  })()
  await clock.advance(1_000)
  await watching
  t.deepEqual(seen, ['CREATED', 'RUNNING', 'RESTARTING', 'RUNNING', 'FINISHED'])
})

/** What a program does with an environment whose jobs go to the stub. */
async function against<R>(cluster: ClusterClient, program: (env: StreamExecutionEnvironment) => Promise<R>): Promise<R> {
  const executor = new ArtifactExecutor({ connect: async () => cluster, artifactOf: async () => new Uint8Array([1]) })
  openProgramSession({ args: [], env: {}, clockMs: 0, randomSeed: 1, executor })
  try {
    return await program(StreamExecutionEnvironment.getExecutionEnvironment())
  } finally {
    closeProgramSession()
  }
}

test.serial('executeAndCollect gives all records, or so many and cancels', async (t) => {
  const cluster = new StubCluster()
  cluster.records = [1, 2, 3, 4, 5]
  t.deepEqual(await against(cluster, (env) => env.fromSequence(1, 5).executeAndCollect()), [1, 2, 3, 4, 5])
  t.deepEqual(cluster.calls, [])
  t.deepEqual(await against(cluster, (env) => env.fromSequence(1, 5).executeAndCollect(3)), [1, 2, 3])
  t.deepEqual(cluster.calls, ['cancel'])
  t.is(cluster.submitted[0]!.vertices.at(-1)!.operators.at(-1)!.kind, 'collect')
})

test.serial('collectAsync gives the records of the job that is executed next', async (t) => {
  const cluster = new StubCluster()
  cluster.records = ['a', 'b', 'c']
  const records = await against(cluster, async (env) => {
    const stream = env.fromData(['x']).collectAsync()
    await env.executeAsync()
    const all: string[] = []
    for await (const record of stream) all.push(record)
    return all
  })
  t.deepEqual(records, ['a', 'b', 'c'])
})

test.serial('a cluster within the program ends with its job, and its records and status outlive it', async (t) => {
  const cluster = new StubCluster()
  cluster.records = ['a', 'b', 'c']
  let stopped = 0
  const local = new EphemeralClusterClient(cluster, async () => void stopped++, new FakeClock())
  const [records, status] = await against(local, async (env) => {
    const stream = env.fromData(['x']).collectAsync()
    const job = await env.executeAsync()
    await job.getJobExecutionResult()
    t.is(stopped, 1)
    const all: string[] = []
    for await (const record of stream) all.push(record)
    return [all, await job.getJobStatus()] as const
  })
  t.deepEqual(records, ['a', 'b', 'c'])
  t.is(status, 'FINISHED')
  t.deepEqual(cluster.calls, ['close'])
})

test('slots are what the widest vertex of each group needs', (t) => {
  const vertex = (slotSharingGroup: string, parallelism: number) => ({ slotSharingGroup, parallelism }) as JobGraph['vertices'][number]
  t.is(slotsNeeded({ vertices: [vertex('default', 2), vertex('default', 4), vertex('other', 3)] }), 7)
})
