import { createHash } from 'node:crypto'
import { connect } from 'node:net'
import test from 'ava'
import { systemClock } from '#core/clock.js'
import { FlottError } from '#core/errors.js'
import { silentLogger } from '#core/logger.js'
import type { StorageOperations } from '#jobmanager/replication/storage-operations.js'
import { RestEndpoint } from '#jobmanager/rest/rest-endpoint.js'
import type { DispatcherGateway } from '#protocol/gateways/dispatcher-gateway.js'
import type { ReplicatedBlobStore } from '#protocol/ha/blobs.js'
import type { LeaderInfo } from '#protocol/ha/facts.js'

const JOB = 'a'.repeat(32)
const LIMIT = 256 * 1024

interface Calls {
  readonly submitted: unknown[]
  readonly canceled: string[]
  readonly blobs: Map<string, Uint8Array>
}

/** A JobManager's REST endpoint with a dispatcher that knows no job and remembers what it is asked. */
async function endpoint(role: {
  leads: boolean
  handsOver?: boolean
  leader?: LeaderInfo | undefined
  predecessor?: LeaderInfo | undefined
}): Promise<{ url: string; calls: Calls; stop(): Promise<void> }> {
  const calls: Calls = { submitted: [], canceled: [], blobs: new Map() }
  const dispatcher = {
    submitJob: async (request: { jobGraph: unknown }) => {
      calls.submitted.push(request.jobGraph)
      return { accepted: true as const }
    },
    cancelJob: async ({ jobId }: { jobId: string }) => {
      calls.canceled.push(jobId)
      return { accepted: true as const }
    },
    listJobs: async () => [],
    describeJob: async ({ jobId }: { jobId: string }) => {
      throw new FlottError('JOB_NOT_FOUND', jobId)
    },
    clusterOverview: async () => ({
      taskManagersBlocked: 0,
      slotsFreeAndBlocked: 0,
      taskManagers: 2,
      slotsTotal: 4,
      slotsAvailable: 3,
      jobsRunning: 1,
      jobsFinished: 0,
      jobsCancelled: 0,
      jobsFailed: 0,
    }),
    listTaskManagers: async () => [],
  } as unknown as DispatcherGateway
  const blobs = {
    put: async (name: string, content: AsyncIterable<Uint8Array>) => {
      const blocks: Uint8Array[] = []
      for await (const block of content) blocks.push(block)
      calls.blobs.set(name, Buffer.concat(blocks))
    },
  } as unknown as ReplicatedBlobStore
  const storage: StorageOperations = {
    check: async () => ({ healthy: true, disks: [], unreadable: [] }),
    collect: async ({ dryRun }) => ({ 'dry-run': dryRun, removed: [], 'removed-bytes': 0, waiting: [] }),
  }
  const info: LeaderInfo = {
    jobManagerId: 'jm',
    rpcAddress: 'localhost:1',
    restUrl: 'http://localhost:1',
    epoch: { incarnation: 0, czxid: '0'.repeat(16) },
  }
  const rest = new RestEndpoint(
    {
      clock: systemClock,
      logger: silentLogger,
      version: '0.0.0',
      leading: () => (role.leads ? { dispatcher, blobs, storage, info } : undefined),
      answering: () => (role.leads || role.handsOver ? { dispatcher, blobs, storage, info } : undefined),
      predecessor: () => role.predecessor,
      leader: () => role.leader ?? (role.leads ? info : undefined),
      hindrance: () => (role.leads ? undefined : 'why'),
      disk: () => Promise.reject(new FlottError('ZOOKEEPER_UNAVAILABLE', 'not yet')),
      configuration: [{ key: 'rest.port', value: '8081' }],
      processMetrics: () => '',
      maxContentLength: LIMIT,
    },
    { host: '127.0.0.1', ports: { from: 0, to: 0 } },
  )
  await rest.start()
  return { url: `http://127.0.0.1:${rest.port}`, calls, stop: () => rest.stop() }
}

function upload(artifact: Uint8Array, request: unknown, sha = createHash('sha256').update(artifact).digest('hex')): FormData {
  const form = new FormData()
  form.set('request', typeof request === 'string' ? request : JSON.stringify({ artifactSha256: sha, jobGraph: request }))
  form.set('artifact', new Blob([artifact as Uint8Array<ArrayBuffer>]), 'artifact.mjs')
  return form
}

test('the leader answers with and without the version prefix', async (t) => {
  const jm = await endpoint({ leads: true })
  t.teardown(jm.stop)
  for (const prefix of ['', '/v1']) {
    const answer = await fetch(`${jm.url}${prefix}/overview`)
    t.is(answer.status, 200)
    const overview = (await answer.json()) as Record<string, unknown>
    t.is(overview['slots-total'], 4)
    t.is(overview['taskmanagers'], 2)
  }
})

test('garbage is answered with its code, and the endpoint lives', async (t) => {
  const jm = await endpoint({ leads: true })
  t.teardown(jm.stop)
  const cases: [string, string, RequestInit | undefined, number, string][] = [
    ['unknown path', '/nothing', undefined, 404, 'NOT_FOUND'],
    ['unknown version', '/v9/overview', undefined, 404, 'NOT_FOUND'],
    ['wrong method', '/overview', { method: 'DELETE' }, 405, 'METHOD_NOT_ALLOWED'],
    ['job id that is none', '/jobs/xyz', undefined, 400, 'BAD_REQUEST'],
    ['path traversal', '/jobs/..%2f..%2fetc%2fpasswd', undefined, 400, 'BAD_REQUEST'],
    ['unknown job', `/jobs/${JOB}`, undefined, 404, 'JOB_NOT_FOUND'],
    ['unknown mode', `/jobs/${JOB}?mode=explode`, { method: 'PATCH' }, 400, 'BAD_REQUEST'],
    ['not a number', `/jobs/${JOB}/exceptions?maxExceptions=-1`, undefined, 400, 'BAD_REQUEST'],
    ['not multipart', '/jobs', { method: 'POST', body: '{}' }, 400, 'BAD_REQUEST'],
    ['request is not JSON', '/jobs', { method: 'POST', body: upload(new Uint8Array(4), '{{{{') }, 400, 'BAD_REQUEST'],
    ['deep JSON', '/jobs', { method: 'POST', body: upload(new Uint8Array(4), '['.repeat(100_000)) }, 400, 'BAD_REQUEST'],
    ['wrong types', '/jobs', { method: 'POST', body: upload(new Uint8Array(4), '{"jobGraph":7,"artifactSha256":[]}') }, 400, 'BAD_REQUEST'],
    [
      'hash does not match',
      '/jobs',
      { method: 'POST', body: upload(new Uint8Array(4), { jobId: JOB }, '0'.repeat(64)) },
      400,
      'BAD_REQUEST',
    ],
    [
      'artifact over the limit',
      '/jobs',
      { method: 'POST', body: upload(new Uint8Array(LIMIT + 1), { jobId: JOB }) },
      413,
      'ARTIFACT_TOO_LARGE',
    ],
    ['very long URL', `/jobs/${'x'.repeat(9_000)}`, undefined, 400, 'BAD_REQUEST'],
  ]
  for (const [name, path, init, status, code] of cases) {
    const answer = await fetch(`${jm.url}${path}`, init)
    const body = (await answer.json()) as { errors: string[]; code: string }
    t.deepEqual([answer.status, body.code], [status, code], `${name}: ${JSON.stringify(body)}`)
    t.is(body.errors.length, 1)
  }
  t.deepEqual(jm.calls.submitted, [])
  t.is((await fetch(`${jm.url}/livez`)).status, 200)
})

test('a body that claims to be huge is refused before it is read, one that is cut off is forgotten', async (t) => {
  const jm = await endpoint({ leads: true })
  t.teardown(jm.stop)
  const port = Number(new URL(jm.url).port)
  const send = (text: string) =>
    new Promise<string>((resolve, reject) => {
      const socket = connect(port, '127.0.0.1', () => socket.write(text))
      socket.once('data', (data) => {
        socket.destroy()
        resolve(String(data))
      })
      socket.once('error', reject)
    })
  const head = `POST /jobs HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\n`
  t.regex(await send(`${head}Content-Length: 99999999999\r\n\r\n`), /^HTTP\/1\.1 413 /)
  await new Promise<void>((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(`${head}Content-Length: 500\r\n\r\n--b\r\n`, () => socket.destroy()))
    socket.once('close', () => resolve())
  })
  t.is((await fetch(`${jm.url}/overview`)).status, 200)
  t.deepEqual(jm.calls.submitted, [])
})

test('a submission stores the artifact under its hash, then hands the graph over', async (t) => {
  const jm = await endpoint({ leads: true })
  t.teardown(jm.stop)
  const artifact = new Uint8Array(200 * 1024).fill(7)
  const answer = await fetch(`${jm.url}/jobs`, { method: 'POST', body: upload(artifact, { jobId: JOB }) })
  t.is(answer.status, 202)
  t.deepEqual(await answer.json(), { jobUrl: `/jobs/${JOB}` })
  const name = `artifact/${createHash('sha256').update(artifact).digest('hex')}`
  t.deepEqual(jm.calls.submitted, [{ jobId: JOB, artifact: name }])
  t.is(jm.calls.blobs.get(name)?.length, artifact.length)
})

test('a standby passes requests on, says so when nobody leads, and never in a circle', async (t) => {
  const leader = await endpoint({ leads: true })
  const info = (restUrl: string): LeaderInfo => ({
    jobManagerId: 'jm',
    rpcAddress: '',
    restUrl,
    epoch: { incarnation: 0, czxid: '0'.repeat(16) },
  })
  const standby = await endpoint({ leads: false, leader: info(leader.url) })
  const orphan = await endpoint({ leads: false })
  const confused = await endpoint({ leads: false, leader: info(standby.url) })
  t.teardown(() => Promise.all([leader.stop(), standby.stop(), orphan.stop(), confused.stop()]))
  t.is((await fetch(`${standby.url}/v1/overview`)).status, 200)
  t.is((await fetch(`${standby.url}/jobs/${JOB}?mode=cancel`, { method: 'PATCH' })).status, 202)
  t.deepEqual(leader.calls.canceled, [JOB])
  t.is((await fetch(`${standby.url}/jobs`, { method: 'POST', body: upload(new Uint8Array(9), { jobId: JOB }) })).status, 202)
  const alone = await fetch(`${orphan.url}/overview`)
  t.deepEqual([alone.status, ((await alone.json()) as { code: string }).code], [503, 'LEADER_UNKNOWN'])
  t.is((await fetch(`${orphan.url}/readyz`)).status, 503)
  const circle = await fetch(`${confused.url}/overview`)
  t.deepEqual([circle.status, ((await circle.json()) as { code: string }).code], [503, 'NOT_LEADER'])
})

test('a leader that hands over answers questions and decides nothing', async (t) => {
  const leaving = await endpoint({ leads: false, handsOver: true })
  t.is((await fetch(`${leaving.url}/jobs/overview`)).status, 200)
  const cancel = await fetch(`${leaving.url}/jobs/${'a'.repeat(32)}`, { method: 'PATCH' })
  t.deepEqual([cancel.status, ((await cancel.json()) as { code: string }).code], [503, 'LEADER_UNKNOWN'])
  t.deepEqual(leaving.calls.canceled, [])
  await leaving.stop()
})

test('while nobody leads questions are passed on to the one before, and only they', async (t) => {
  const leaving = await endpoint({ leads: false, handsOver: true })
  const info = { jobManagerId: 'jm', rpcAddress: 'localhost:2', restUrl: leaving.url, epoch: { incarnation: 0, czxid: '0'.repeat(16) } }
  const standby = await endpoint({ leads: false, predecessor: info })
  t.is((await fetch(`${standby.url}/jobs/overview`)).status, 200)
  const code = async (response: Response) => ((await response.json()) as { code: string }).code
  t.is(await code(await fetch(`${standby.url}/jobs/${'a'.repeat(32)}`, { method: 'PATCH' })), 'LEADER_UNKNOWN')
  await leaving.stop()
  t.is(await code(await fetch(`${standby.url}/jobs/overview`)), 'LEADER_UNKNOWN')
  await standby.stop()
})

test('/metrics is answered by each JobManager', async (t) => {
  const jm = await endpoint({ leads: true })
  const standby = await endpoint({ leads: false })
  t.teardown(() => Promise.all([jm.stop(), standby.stop()]))
  t.regex(await (await fetch(`${jm.url}/metrics`)).text(), /^flott_slots_total 4$/m)
  t.regex(await (await fetch(`${standby.url}/metrics`)).text(), /^flott_jobmanager_leading 0$/m)
})

test('readiness says why nobody leads', async (t) => {
  const standby = await endpoint({ leads: false })
  t.teardown(standby.stop)
  const answer = await fetch(`${standby.url}/readyz`)
  t.is(answer.status, 503)
  t.like(await answer.json(), { status: 'no leader is known: why', leading: false })
  t.is((await fetch(`${standby.url}/v1/flott/disk`)).status, 503)
})

test('check and collection of blobs: GET only tells, POST acts', async (t) => {
  const leader = await endpoint({ leads: true })
  t.teardown(leader.stop)
  for (const [method, dryRun] of [
    ['GET', true],
    ['POST', false],
  ] as const) {
    t.like(await (await fetch(`${leader.url}/v1/flott/gc`, { method })).json(), { 'dry-run': dryRun })
    t.like(await (await fetch(`${leader.url}/v1/flott/fsck`, { method })).json(), { healthy: true })
  }
})
