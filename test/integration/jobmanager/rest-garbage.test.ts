/**
 * Whatever comes in over REST, a real JobManager answers it with an error that has a code, lives on and knows no new job: each field of
 * a job graph replaced by values of other types or left out, deep and huge bodies, paths and ids that are none.
 */
import { createHash } from 'node:crypto'
import { request as httpRequest } from 'node:http'
import { connect } from 'node:net'
import test, { type ExecutionContext } from 'ava'
import { ERRORS } from '#core/errors.js'
import type { JobGraph } from '#protocol/graph/job-graph.js'
import type { ErrorResponse } from '#protocol/rest/responses.js'
import { ProcessCluster } from '../../support/process-cluster.js'

const CONTENT_MAX = 128 * 1024
const ARTIFACT = new Uint8Array(Buffer.from('export {}\n'))
let cluster: ProcessCluster
let sound: JobGraph
let pid: number

test.before(async () => {
  cluster = await ProcessCluster.start({
    jobManagers: 1,
    taskManagers: 0,
    slots: 1,
    settings: { 'rest.server.max-content-length': `${CONTENT_MAX} bytes` },
  })
  pid = cluster.jobManagers[0]!.pid
  const info = await cluster.flott(['info', '--json', 'test/fixtures/programs/keyed-sums.ts'])
  if (info.code !== 0) throw new Error(info.stderr)
  sound = JSON.parse(info.stdout) as JobGraph
})
test.after.always(() => cluster?.stop())

const url = () => cluster.jobManagers[0]!.restUrl

function submit(jobGraph: unknown, artifact = ARTIFACT): Promise<Response> {
  return submitText(JSON.stringify({ artifactSha256: createHash('sha256').update(artifact).digest('hex'), jobGraph }), artifact)
}
function submitText(request: string, artifact = ARTIFACT): Promise<Response> {
  const form = new FormData()
  form.set('request', request)
  form.set('artifact', new Blob([artifact as Uint8Array<ArrayBuffer>]), 'artifact.mjs')
  return fetch(`${url()}/v1/jobs`, { method: 'POST', body: form })
}
async function unharmed(t: ExecutionContext): Promise<void> {
  t.is(cluster.jobManagers[0]!.pid, pid)
  t.true(cluster.jobManagers[0]!.isRunning)
  t.deepEqual(await cluster.jobs(), [])
}

type Path = readonly (string | number)[]
type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json }

const FREE = /^program\.(once\b.|earlierResults\b|jobArgs\b)/ // Any JSON value of the program's own.

/** Each place in the value, outer ones first. */
function placesOf(value: Json, path: Path = []): { path: Path; value: Json }[] {
  const inner = typeof value !== 'object' || value === null ? [] : Object.entries(value)
  const here = path.length === 0 ? [] : [{ path, value }]
  return [...here, ...inner.flatMap(([name, item]) => placesOf(item as Json, [...path, Array.isArray(value) ? Number(name) : name]))]
}
function kindOf(value: Json): string {
  if (value === null) return 'null'
  return Array.isArray(value) ? 'array' : typeof value
}
const SAMPLES: readonly Json[] = [null, true, 7, -1, 1.5, 'x', [], [[]], {}, { a: 1 }]

function garbageFor(value: Json): readonly Json[] {
  const kind = kindOf(value)
  const otherKinds = SAMPLES.filter((sample) => kindOf(sample) !== kind)
  return kind === 'array' ? [...otherKinds, [null], [7], [[]]] : otherKinds
}
function replaced(value: Json, [head, ...rest]: Path, by: Json | undefined): Json {
  const copy = (Array.isArray(value) ? [...value] : { ...(value as object) }) as Record<string | number, Json | undefined>
  copy[head!] = rest.length === 0 ? by : replaced(copy[head!] as Json, rest, by)
  return copy as Json
}

test.serial('each field of a job graph replaced by values of other types', async (t) => {
  const cases = placesOf(sound as unknown as Json)
    .filter(({ path }) => !FREE.test(path.join('.')) && path[0] !== 'artifact') // The JobManager names the artifact itself.
    .flatMap(({ path, value }) => garbageFor(value).map((garbage) => ({ path, garbage })))
  t.true(cases.length > 300, `${cases.length}`)
  for (const { path, garbage } of cases) {
    const what = `${path.join('.')} = ${JSON.stringify(garbage)}`
    const answer = await submit(replaced(sound as unknown as Json, path, garbage))
    const body = (await answer.json()) as ErrorResponse
    t.is(answer.status, 400, `${what}: ${JSON.stringify(body)}`)
    t.true(Object.hasOwn(ERRORS, body.code) && body.code !== 'INTERNAL', what)
    const fields = path.filter((step) => typeof step === 'string')
    t.true(body.errors.join().includes(fields.at(-1)!), `${what} is not named: ${body.errors.join()}`)
  }
  await unharmed(t)
})

test.serial('each required field of a job graph left out', async (t) => {
  const optional =
    /^(artifact|program\.(jobArgs|env\.\w+|args\.\d+)|settings\..+|vertices\.\d+\.operators\.\d+\.(inputTag|declaredAt|boundedness)|edges\.\d+\.sideOutput)$/
  const places = placesOf(sound as unknown as Json).filter(
    ({ path }) => typeof path.at(-1) === 'string' && !optional.test(path.join('.')) && !FREE.test(path.join('.')),
  )
  for (const { path } of places) {
    const answer = await submit(replaced(sound as unknown as Json, path, undefined))
    const body = (await answer.json()) as ErrorResponse
    t.is(answer.status, 400, `without ${path.join('.')}: ${JSON.stringify(body)}`)
    t.not(body.code, 'INTERNAL', path.join('.'))
  }
  await unharmed(t)
})

test.serial('values of the right type that make no sense', async (t) => {
  const [first, second] = sound.vertices
  const cases: Readonly<Record<string, unknown>> = {
    'a job id that leads elsewhere': { ...sound, jobId: '../../../../etc/passwd' },
    'a job id in capitals': { ...sound, jobId: 'A'.repeat(32) },
    'a job id with a line break': { ...sound, jobId: `${'a'.repeat(32)}\n` },
    'a name without end': { ...sound, jobName: 'x'.repeat(100_000) },
    'an unknown setting': { ...sound, settings: { 'no.such.key': '1' } },
    'a setting of the cluster': { ...sound, settings: { 'jobmanager.data.dir': '/' } },
    'a setting that is no text': { ...sound, settings: { 'parallelism.default': 2 } },
    'environment variables that are no text': { ...sound, program: { ...sound.program, env: { A: 1 } } },
    'results that are no list': { ...sound, program: { ...sound.program, earlierResults: {} } },
    'a setting that does not parse': { ...sound, settings: { 'execution.checkpointing.interval': 'often' } },
    'a parallelism beyond all numbers': { ...sound, vertices: [{ ...first!, parallelism: 1e300 }, second!] },
    'too many subtasks': {
      ...sound,
      vertices: Array.from({ length: 2_000 }, (_, i) => ({ ...first!, id: i.toString(16).padStart(32, '0'), parallelism: 100 })),
      edges: [],
    },
    'one vertex twice': { ...sound, vertices: [...sound.vertices, first!] },
    'an edge from nowhere': { ...sound, edges: [{ ...sound.edges[0]!, source: '0'.repeat(32) }] },
    'a cycle': {
      ...sound,
      edges: [
        ...sound.edges,
        {
          ...sound.edges[0]!,
          id: 'back',
          source: sound.edges[0]!.target,
          sourceOperator: sound.edges[0]!.targetOperator,
          target: sound.edges[0]!.source,
          targetOperator: sound.edges[0]!.sourceOperator,
        },
      ],
    },
    'an operator kind that does not exist': {
      ...sound,
      vertices: [{ ...first!, operators: [{ ...first!.operators[0]!, kind: 'no-such-kind' }] }, second!],
    },
  }
  for (const [name, graph] of Object.entries(cases)) {
    const answer = await submit(graph)
    const body = (await answer.json()) as ErrorResponse
    t.true(answer.status === 400 || answer.status === 413, `${name}: ${answer.status} ${JSON.stringify(body)}`)
    t.not(body.code, 'INTERNAL', name)
  }
  await unharmed(t)
})

test.serial('deep, huge, cut off and foreign bodies', async (t) => {
  const deep = '['.repeat(200_000)
  const hash = createHash('sha256').update(ARTIFACT).digest('hex')
  for (const text of [
    deep,
    `{"artifactSha256":"${hash}","jobGraph":${'{"a":'.repeat(50_000)}`,
    '{"__proto__":{"jobGraph":{}}}',
    'null',
    '',
    '\0',
  ])
    t.is((await submitText(text)).status, 400, text.slice(0, 20))
  t.is((await submit(sound, new Uint8Array(CONTENT_MAX + 1))).status, 413)
  const wrongHash = await submitText(JSON.stringify({ artifactSha256: '0'.repeat(64), jobGraph: sound }))
  t.is(wrongHash.status, 400)
  t.is((await fetch(`${url()}/jobs`, { method: 'POST', body: 'x'.repeat(1_000_000) })).status, 400)
  t.is(await statusOfEndlessUpload(), 413)
  for (const raw of [
    '\0\0\0\0',
    'GET / HTTP/9.9\r\n\r\n',
    `GET /${'x'.repeat(100_000)} HTTP/1.1\r\n\r\n`,
    `GET / HTTP/1.1\r\n${'A: b\r\n'.repeat(10_000)}\r\n`,
  ])
    t.regex(await rawAnswer(raw), /^(HTTP\/1\.1 4\d\d |$)/)
  await unharmed(t)
})

test.serial('paths and ids that are none, wrong methods', async (t) => {
  const jobs = ['..', '%2e%2e%2f%2e%2e%2fetc%2fpasswd', 'A'.repeat(32), 'a'.repeat(31), 'a'.repeat(33), '%00', '%ff', '%', ' ', "'", '{x}']
  const below = ['', '/checkpoints', '/exceptions', '/config', '/plan', '/status', '/execution-result', '/vertices/x', '/collected/x']
  for (const job of jobs)
    for (const path of below) {
      const status = await statusOf('GET', `/v1/jobs/${job}${path}`)
      t.true(status === 400 || status === 404, `${job}${path}: ${status}`)
    }
  for (const path of below) t.is((await statusOf('GET', `/jobs/${'0'.repeat(32)}${path}`)) >= 400, true, path)
  for (const path of ['/../../etc/passwd', '//etc/passwd', '/v1/%2e%2e/%2e%2e/etc/passwd', '/taskmanagers/..%2f..%2f', '/v1/blobs/x'])
    t.true([400, 404].includes(await statusOf('GET', path)), path)
  for (const method of ['PUT', 'DELETE', 'PATCH', 'POST', 'OPTIONS', 'TRACE']) t.true((await statusOf(method, '/overview')) !== 500, method)
  t.is(await statusOf('PATCH', `/jobs/${'0'.repeat(32)}?mode=cancel`), 404)
  t.is(await statusOf('PATCH', `/jobs/${'0'.repeat(32)}?mode=cancel&mode=stop`), 400)
  await unharmed(t)
})

test.serial('the graph itself, untouched, is accepted', async (t) => {
  const answer = await submit(sound)
  t.is(answer.status, 202, await answer.text())
  t.deepEqual(
    (await cluster.jobs()).map(({ jid }) => jid),
    [sound.jobId],
  )
})

/** fetch resolves '..' by itself: the path is sent as it is. */
function statusOf(method: string, path: string): Promise<number> {
  const { hostname, port } = new URL(url())
  return new Promise((resolve, reject) => {
    const request = httpRequest({ hostname, port, method, path: path.replaceAll(' ', '%20') }, (response) => {
      response.resume().on('end', () => resolve(response.statusCode ?? 0))
    })
    request.on('error', reject).end()
  })
}
/** A body without a length that never ends. */
function statusOfEndlessUpload(): Promise<number> {
  const { hostname, port } = new URL(url())
  const block = Buffer.alloc(64 * 1024, 'x')
  return new Promise((resolve) => {
    let open = true
    const headers = { 'content-type': 'multipart/form-data; boundary=b' }
    const request = httpRequest({ hostname, port, method: 'POST', path: '/jobs', headers }, (response) => {
      open = false
      resolve(response.statusCode ?? 0)
      request.destroy()
    })
    request.on('error', () => {})
    const hash = '0'.repeat(64)
    request.write(`--b\r\ncontent-disposition: form-data; name="request"\r\n\r\n{"artifactSha256":"${hash}","jobGraph":{}}\r\n`)
    request.write('--b\r\ncontent-disposition: form-data; name="artifact"; filename="a"\r\ncontent-type: text/plain\r\n\r\n')
    const more = () => {
      if (open) request.write(block, more)
    }
    more()
  })
}
function rawAnswer(text: string): Promise<string> {
  const { hostname, port } = new URL(url())
  return new Promise((resolve) => {
    let answer = ''
    const socket = connect(Number(port), hostname, () => socket.write(text))
    socket.on('data', (data) => {
      answer += String(data)
      socket.end()
    })
    socket.on('error', () => {})
    socket.on('close', () => resolve(answer))
  })
}
