/** Programs that lie anywhere on the disk, submitted to a cluster of real daemons by `flott run` and from plain `node`. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { ProcessCluster } from '../support/process-cluster.js'
import { runProgramToEnd } from '../support/run-program.js'
import { words } from './programs/inputs.js'

let cluster: ProcessCluster
test.before(async () => {
  cluster = await ProcessCluster.start({ jobManagers: 1, taskManagers: 1, slots: 2 })
})
test.after.always(() => cluster?.stop())

/** A directory outside of this checkout, in which nothing named flott can be found. */
function project(t: ExecutionContext, sources: Readonly<Record<string, string>>): string {
  const directory = mkdtempSync(join(tmpdir(), 'flott-elsewhere-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  for (const [path, source] of Object.entries(sources)) {
    mkdirSync(dirname(join(directory, path)), { recursive: true })
    writeFileSync(join(directory, path), source)
  }
  return directory
}

const JOB = `
  import { StreamExecutionEnvironment } from 'flott'
  const env = StreamExecutionEnvironment.getExecutionEnvironment()
  env.fromData([1, 2, 3], 'numbers').map((n) => twice(n), 'twice').print()
  await env.execute('elsewhere')
`

test.serial('a program of several TypeScript files with a package from npm, in a directory of its own', async (t) => {
  const directory = project(t, {
    'jobs/count.ts': `
      import { type Collector, fileSink, formats, StreamExecutionEnvironment } from 'flott'
      import shout from 'shout'
      import { Mode, type Pair, pairs } from '../lib/pairs'
      const env = StreamExecutionEnvironment.getExecutionEnvironment({ 'parallelism.default': 2 })
      env.fromData(process.argv.slice(2), 'words')
        .flatMap((word: string, out: Collector<Pair>) => pairs(word, out), 'pairs')
        .keyBy('word').sum('count', 'counts')
        .map((pair) => shout(pair.word) + ' ' + pair.count + ' ' + Mode.Loud, 'lines')
        .sinkTo(fileSink('out', formats.lines), 'files')
      await env.execute('count')
    `,
    'lib/pairs.ts': `
      import type { Collector } from 'flott'
      export enum Mode { Quiet, Loud }
      export interface Pair { word: string; count: number }
      export function pairs(word: string, out: Collector<Pair>): void { out.collect({ word, count: 1 }) }
    `,
    'node_modules/shout/package.json': '{ "name": "shout", "version": "1.0.0", "main": "main.js" }',
    'node_modules/shout/main.js':
      "const { EOL } = require('node:os')\nmodule.exports = (text) => text.toUpperCase() + '!'.repeat(EOL.length)\n",
  })
  const { code, stderr } = await cluster.flott(['run', 'jobs/count.ts', 'a', 'b', 'a'], { cwd: directory })
  t.is(code, 0, stderr)
  const output = join(directory, 'out')
  const lines = readdirSync(output).flatMap((name) => readFileSync(join(output, name), 'utf8').trimEnd().split('\n'))
  t.deepEqual(lines.sort(), ['A! 1 1', 'A! 2 1', 'B! 1 1'])
})

test.serial('a syntax error is told with its file and line', async (t) => {
  const directory = project(t, {
    'job.ts': `import { twice } from './twice'\n${JOB}`,
    'twice.ts': 'export const twice = (n: number) =>\n  n * * 2\n',
  })
  const { code, stderr, stdout } = await cluster.flott(['run', 'job.ts'], { cwd: directory })
  t.not(code, 0)
  t.is(stdout, '')
  t.regex(stderr, /BUNDLE_FAILED/)
  t.regex(stderr, /twice\.ts:2:7: /)
})

test.serial('an import that is not there is named', async (t) => {
  const directory = project(t, { 'job.ts': `import twice from 'twice-as-much'\n${JOB}` })
  const { code, stderr } = await cluster.flott(['run', 'job.ts'], { cwd: directory })
  t.not(code, 0)
  t.regex(stderr, /BUNDLE_FAILED/)
  t.regex(stderr, /job\.ts:1:\d+: .*twice-as-much/)
})

for (const [how, main] of [
  ['it requires', "module.exports = require('./build/Release/fast.node')\n"],
  ['it looks for with bindings', "module.exports = require('bindings')('fast')\n"],
] as const)
  test.serial(`a package with a native addon that ${how} is refused by name`, async (t) => {
    const directory = project(t, {
      'job.ts': `import twice from 'fast-twice'\n${JOB}`,
      'node_modules/fast-twice/package.json': '{ "name": "fast-twice", "version": "1.0.0", "main": "main.js" }',
      'node_modules/fast-twice/main.js': main,
      'node_modules/fast-twice/build/Release/fast.node': '\x7fELF',
    })
    const { code, stderr } = await cluster.flott(['run', 'job.ts'], { cwd: directory })
    t.not(code, 0)
    t.regex(stderr, /BUNDLE_FAILED/)
    t.regex(stderr, /'fast-twice' is a native addon/)
  })

test.serial('a program in plain node submits to the cluster, takes the results, and ends by itself', async (t) => {
  const { hostname, port } = new URL(cluster.jobManagers[0]!.restUrl)
  const result = await runProgramToEnd('remote', [hostname, port])
  t.deepEqual({ code: result.code, signal: result.signal, stderr: result.stderr }, { code: 0, signal: null, stderr: '' })
  const counts = JSON.parse(result.stdout) as { word: string; count: number }[]
  const expected = words.map((word, i) => ({ word, count: words.slice(0, i + 1).filter((w) => w === word).length }))
  const sorted = (records: readonly unknown[]) => records.map((record) => JSON.stringify(record)).sort()
  t.deepEqual(sorted(counts), sorted(expected))
  const jobs = await cluster.jobs()
  t.true(jobs.every(({ state }) => state === 'FINISHED'))
})
