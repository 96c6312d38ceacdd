/** A program is bundled at the client and evaluated again in a slot: both must see the same. */
import { mkdtempSync, writeFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import test from 'ava'
import { discardSink, StreamExecutionEnvironment } from '#client/index.js'
import type { ClusterClient } from '#client/submit/cluster-client.js'
import { graphOfProgram, runProgram } from '#client/submit/program-runner.js'
import { systemClock } from '#core/clock.js'
import { FlottError } from '#core/errors.js'
import { placeArtifact } from '#core/functions/artifact-directory.js'
import type { BuiltProgram } from '#core/functions/build-phase.js'
import { currentBuildPhase } from '#core/functions/build-phase.js'
import type { MapDefinition } from '#core/functions/operator-definition.js'
import type { JobGraph } from '#protocol/graph/job-graph.js'
import { ArtifactLoader, FunctionLoader } from '#usercode/program-loader.js'
import { graphOf } from '../../../support/graph.js'

const fixture = (name: string) => `test/fixtures/programs/${name}.ts`
const temporary = () => mkdtempSync(join(tmpdir(), 'flott-program-'))

async function unpacked(artifact: Uint8Array): Promise<string> {
  const directory = temporary()
  await placeArtifact(directory, artifact)
  return directory
}
async function loaded(jobGraph: JobGraph, artifact: Uint8Array): Promise<BuiltProgram> {
  return new ArtifactLoader(systemClock).load(jobGraph, await unpacked(artifact))
}
const map = (program: BuiltProgram, uid: string) => (program.operators.get(uid) as MapDefinition).f as (n: unknown) => unknown

test.serial('a slot sees the arguments, time, chance and directory of the client, and runs nothing behind execute', async (t) => {
  process.env.FLOTT_JOB_TEST = 'allowed'
  const { jobGraph, artifact } = await graphOfProgram({ file: fixture('script'), args: ['--a', 'b'] })
  delete process.env.FLOTT_JOB_TEST
  const [args, cwd, now, env] = [process.argv, process.cwd, Date, process.env]
  const elsewhere = { ...jobGraph, program: { ...jobGraph.program, env: { ...jobGraph.program.env, PWD: '/client' }, clockMs: 5 } }
  const [first, second] = [await loaded(elsewhere, artifact), await loaded(elsewhere, artifact)]
  type Seen = { greeting: string; here: string; id: number; seen: Record<string, unknown> }
  const [one, two] = [map(first, 'seen')(1) as Seen, map(second, 'seen')(1) as Seen]
  t.deepEqual(one, two)
  t.not(map(first, 'seen'), map(second, 'seen'), 'each load has its own functions')
  t.is(one.greeting, 'hello')
  t.is(one.here, 'flott:///greeting.ts')
  t.is(one.id, jobGraph.program.once['id'] as number)
  const { chance, ...seen } = one.seen
  t.deepEqual(seen, { now: 5, date: 5, args: ['--a', 'b'], cwd: '/client', path: undefined, job: 'allowed' })
  t.true(typeof chance === 'number')
  t.deepEqual([process.argv, process.cwd, Date], [args, cwd, now], 'the world is put back')
  t.is(process.env, env)
  t.is(currentBuildPhase(), undefined)
})

test.serial('traces name the line of the source, also in a worker', async (t) => {
  const { jobGraph, artifact } = await graphOfProgram({ file: fixture('script'), args: [] })
  const error = t.throws(() => map(failing, 'fails')('fail'), { message: 'line 28' })
  t.regex(error.stack!, /test\/fixtures\/programs\/script\.ts:28:/)
  const loader = new URL('../../../../daemon/usercode/program-loader.js', import.meta.url).href
  const clock = new URL('../../../../daemon/core/clock.js', import.meta.url).href
  const code = `
    const { parentPort, workerData } = require('node:worker_threads')
    Promise.all([import(${JSON.stringify(loader)}), import(${JSON.stringify(clock)})])
      .then(([{ ArtifactLoader }, { systemClock }]) => new ArtifactLoader(systemClock).load(workerData.jobGraph, workerData.directory))
      .then((program) => program.operators.get('fails').f('fail'))
      .catch((error) => parentPort.postMessage(error.stack))`
  const worker = new Worker(code, { eval: true, workerData: { jobGraph, directory: await unpacked(artifact) } })
  const stack = await new Promise<string>((resolve, reject) => worker.once('message', resolve).once('error', reject))
  await worker.terminate()
  t.regex(stack, /test\/fixtures\/programs\/script\.ts:28:/)
})
let failing: BuiltProgram
test.before(async () => {
  const { jobGraph, artifact } = await graphOfProgram({ file: fixture('script'), args: [] })
  failing = await loaded(jobGraph, artifact)
})

test.serial('a module of defineJob takes JSON, from the command line or from a program that submits it', async (t) => {
  const own = await graphOfProgram({ file: fixture('module-job'), args: ['{"uid":"from-command-line"}'] })
  t.deepEqual(own.jobGraph.program.jobArgs, { uid: 'from-command-line' })
  t.true((await loaded(own.jobGraph, own.artifact)).operators.has('from-command-line'))
  const submitted = await graphOfProgram({ file: fixture('submitter'), args: [] })
  t.is(submitted.jobGraph.jobName, 'module job')
  t.true((await loaded(submitted.jobGraph, submitted.artifact)).operators.has('from-submitter'))
  t.deepEqual(submitted.artifact, own.artifact, 'the module is shipped, not the program that submits it')
  await t.throwsAsync(graphOfProgram({ file: fixture('module-job'), args: ['{'] }), { code: 'JOB_ARGS_NOT_JSON' })
})

test.serial('of several jobs a slot builds its own, with the outcomes of the earlier ones', async (t) => {
  const submissions: { jobGraph: JobGraph; artifact: Uint8Array }[] = []
  const cluster: ClusterClient = {
    submitJob: async (jobGraph, artifact) => {
      if (jobGraph.vertices.some((v) => v.parallelism > 1_000)) throw new FlottError('JOB_SUBMISSION_FAILED', 'too wide')
      submissions.push({ jobGraph, artifact })
    },
    getJobStatus: async () => 'FINISHED',
    requestJobResult: async (jobId) => ({ jobId, status: 'FINISHED', netRuntimeMs: 42, accumulators: {} }),
    cancelJob: async () => {},
    fetchCollected: async () => ({ records: [1, 2, 3], next: 3, ended: true }),
    close: async () => {},
  }
  await runProgram({ file: fixture('several'), args: [], cluster })
  while (submissions.length < 6) await new Promise(setImmediate)
  t.deepEqual(
    submissions.map(({ jobGraph }) => jobGraph.program.executeIndex),
    [0, 1, 2, 3, 4, 6],
  )
  const programs = await Promise.all(submissions.map(({ jobGraph, artifact }) => loaded(jobGraph, artifact)))
  t.deepEqual(
    programs.map(({ operators }) => [...operators.keys()][0]),
    ['first', 'second-42', 'third-32', 'fourth-3', 'fifth-2', 'seventh-JOB_SUBMISSION_FAILED'],
  )
})

test.serial('another graph than the client built is refused, and the first difference named', async (t) => {
  const { jobGraph, artifact } = await graphOfProgram({ file: fixture('unstable'), args: [] })
  const error = await t.throwsAsync(loaded(jobGraph, artifact), { code: 'GRAPH_NOT_DETERMINISTIC' })
  t.regex(error.message, /map-of-evaluation-1/)
})

test.serial('what can not be bundled or loaded says why', async (t) => {
  const directory = temporary()
  const file = join(directory, 'job.ts')
  const bundled = (source: string) => {
    writeFileSync(file, source)
    return graphOfProgram({ file, args: [] })
  }
  await t.throwsAsync(bundled('const = 1'), { code: 'BUNDLE_FAILED', message: /job\.ts:1:7: / })
  await t.throwsAsync(bundled(`import 'no-such-package'`), { code: 'BUNDLE_FAILED', message: /no-such-package/ })
  await mkdir(join(directory, 'node_modules/fast-addon'), { recursive: true })
  writeFileSync(join(directory, 'node_modules/fast-addon/index.js'), `module.exports = require('./build/addon.node')`)
  await t.throwsAsync(bundled(`import 'fast-addon'`), { code: 'BUNDLE_FAILED', message: /'fast-addon' is a native addon/ })
  const { jobGraph, artifact } = await graphOfProgram({ file: fixture('module-job'), args: ['{"uid":"m"}'] })
  const broken = await unpacked(Buffer.from(`import 'not-there'`))
  await t.throwsAsync(new ArtifactLoader(systemClock).load(jobGraph, broken), { code: 'USER_CODE_LOAD_FAILED' })
  const throwing = await unpacked(Buffer.from(`throw new Error('on its own')`))
  await t.throwsAsync(new ArtifactLoader(systemClock).load(jobGraph, throwing), { code: 'PROGRAM_FAILED', message: /on its own/ })
  t.true((await loaded(jobGraph, artifact)).operators.has('m'), 'a failed load leaves nothing behind')
})

test.serial('a program that is a function', async (t) => {
  const program = async () => {
    const env = StreamExecutionEnvironment.getExecutionEnvironment()
    env.fromSequence(1, 3, 'numbers').sinkTo(discardSink(), 'sink')
    await env.execute('function')
  }
  const jobGraph = await graphOf(program)
  t.deepEqual([...(await new FunctionLoader(program).load(jobGraph)).operators.keys()], ['numbers', 'sink'])
  await t.throwsAsync(new FunctionLoader(() => {}).load(jobGraph), { code: 'EMPTY_GRAPH' })
  const failed = new FunctionLoader(() => {
    throw new TypeError('mine')
  })
  const error = await t.throwsAsync(failed.load(jobGraph), { code: 'PROGRAM_FAILED' })
  t.true(error.cause instanceof TypeError)
})
