/** The package as it is published: what is in it, its types under `strict`, and that a project can live on it. */
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import test from 'ava'
import { type InstalledPackage, installPackage } from '../support/installed-package.js'
import { startCommand } from '../support/run-program.js'

const SOURCES = {
  'package.json': JSON.stringify({ name: 'project', type: 'module', dependencies: { flott: '*' } }),
  'tsconfig.json': JSON.stringify({
    compilerOptions: {
      strict: true,
      module: 'nodenext',
      target: 'es2023',
      rootDir: 'src',
      outDir: 'out',
      sourceMap: true,
      exactOptionalPropertyTypes: true,
      noUncheckedIndexedAccess: true,
      types: ['node'],
    },
    include: ['src'],
  }),
  'without-node/tsconfig.json': JSON.stringify({
    compilerOptions: { strict: true, module: 'nodenext', target: 'es2023', noEmit: true, types: [] },
    include: ['.'],
  }),
  'without-node/job.ts': `
    import { fileSink, fileSource, formats, StreamExecutionEnvironment } from 'flott'
    const env = StreamExecutionEnvironment.getExecutionEnvironment()
    env.fromSource(fileSource('in', formats.lines)).map((line) => line.trim()).sinkTo(fileSink('out', formats.lines))
    await env.execute()
  `,
  'src/visits.ts': `
    import { type Collector, FlottError, type KeyedContext, KeyedProcessFunction, valueState } from 'flott'
    export interface Visit { readonly user: string; readonly page: string }
    export const visits: readonly Visit[] = ['ann', 'bob', 'ann'].map((user) => ({ user, page: '/' }))
    export const count = valueState('count', { initial: 0 })
    export class CountVisits extends KeyedProcessFunction<string, Visit, { user: string; count: number }> {
      readonly #count = this.getState(count)
      processElement(visit: Visit, ctx: KeyedContext<string>, out: Collector<{ user: string; count: number }>): void {
        if (visit.page === '/bad') throw new FlottError('INVALID_ARGUMENT', 'a bad page')
        out.collect({ user: ctx.currentKey, count: ++this.#count.value })
      }
    }
  `,
  'src/job.ts': `
    import { FlottError, StreamExecutionEnvironment } from 'flott'
    import { CountVisits, visits } from './visits.js'
    const env = StreamExecutionEnvironment.getExecutionEnvironment({ 'parallelism.default': 2 })
    const counts = await env.fromData(visits, 'visits').keyBy('user').process(new CountVisits(), 'counts').executeAndCollect()
    console.log(counts.map((c) => \`\${c.user} \${c.count.toFixed()}\`).sort().join(', '))
    env.fromData([{ user: 'eve', page: '/bad' }], 'bad').keyBy('user').process(new CountVisits(), 'counts').print()
    const error: unknown = await env.execute('bad').catch((reason: unknown) => reason)
    console.log(error instanceof FlottError && error.code, /a bad page/.test(String(error)))
  `,
  'src/harness.ts': `
    import { FlottError } from 'flott'
    import { keyedHarness } from 'flott/testing'
    import { count, CountVisits } from './visits.js'
    const harness = await keyedHarness(new CountVisits(), 'user')
    harness.processElement({ user: 'ann', page: '/' })
    harness.processElement({ user: 'ann', page: '/' })
    console.log(JSON.stringify(harness.output), harness.state(count, 'ann').value)
    try {
      harness.processElement({ user: 'ann', page: '/bad' })
    } catch (error) {
      console.log(error instanceof FlottError)
    }
  `,
}

let project: InstalledPackage
test.before(() => {
  project = installPackage(SOURCES)
})
test.after.always(() => project?.remove())

const run = (command: string, ...args: string[]) => startCommand(command, args, { cwd: project.directory }).result

test.serial('what is packed: the code that runs, its types, scripts, configuration; no tests and no sources', (t) => {
  const { files } = project
  const strays = files.filter((path) => !/^(dist\/(daemon|client)\/|bin\/|conf\/|systemd\/|(package\.json|README\.md|LICENSE)$)/.test(path))
  t.deepEqual(strays, [])
  t.deepEqual(
    files.filter((path) => /\.test\.|(^|\/)test\//.test(path) || (path.endsWith('.ts') && !path.endsWith('.d.ts'))),
    [],
  )
  const ofTheCheckout = ['bin/install-missing.sh', 'bin/quickstart.sh']
  t.deepEqual(
    files.filter((path) => ofTheCheckout.includes(path)),
    [],
  )
  const { bin, exports } = JSON.parse(readFileSync('package.json', 'utf8')) as {
    bin: Record<string, string>
    exports: Record<string, string | Record<string, string>>
  }
  const promised = [bin, ...Object.values(exports)].flatMap((target) => (typeof target === 'string' ? target : Object.values(target)))
  t.deepEqual(
    promised.map((path) => path.replace(/^\.\//, '')).filter((path) => !files.includes(path)),
    [],
  )
})

test.serial('a project compiles against the packed types, and its job and its harness run in plain node', async (t) => {
  const { code, stdout, stderr } = await run(process.execPath, resolve('node_modules/typescript/bin/tsc'), '-p', '.')
  t.deepEqual({ code, stdout, stderr }, { code: 0, stdout: '', stderr: '' })
  const withoutNode = await run(process.execPath, resolve('node_modules/typescript/bin/tsc'), '-p', 'without-node')
  t.is(withoutNode.stdout, '', 'the types stand without those of Node')
  const job = await run(process.execPath, 'out/job.js')
  t.is(job.code, 0, job.stderr)
  t.deepEqual(job.stdout.trimEnd().split('\n'), ['ann 1, ann 2, bob 1', 'JOB_FAILED true'])
  const harness = await run(process.execPath, 'out/harness.js')
  t.deepEqual(
    [harness.code, harness.stdout.trimEnd().split('\n')],
    [0, ['[{"user":"ann","count":1},{"user":"ann","count":2}] 2', 'true']],
    harness.stderr,
  )
})

test.serial('the command line works through the link that npm makes', async (t) => {
  const flott = join('node_modules', '.bin', 'flott')
  const version = await run(flott, '--version')
  t.is(version.code, 0, version.stderr)
  t.true(version.stdout.includes((JSON.parse(readFileSync('package.json', 'utf8')) as { version: string }).version), version.stdout)
  const info = await run(flott, 'info', 'src/job.ts')
  t.is(info.code, 0, info.stderr)
  t.regex(info.stdout, /visits/)
})
