/** The README says what the code does: its tables are printed from code, its programs compile and build, its endpoints and metrics are all there are. */
import { execFile, spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { promisify } from 'node:util'
import test from 'ava'
import { EXIT, EXIT_MEANINGS } from '#client/cli/exit-codes.js'
import { graphOfProgram } from '#client/submit/program-runner.js'
import { printOptionsMarkdown } from '#core/config/print-options.js'
import { KNOWN_KEYS } from '#core/config/resolve-config.js'
import { printErrorsMarkdown } from '#core/print-errors.js'
import { leaderRoutes } from '#jobmanager/rest/handlers.js'
import { printBenchmarksMarkdown } from './bench/benchmarks.js'

const README = 'README.md'
/** Outside of dist/test, where ava would run them; within the package, so that `flott` is this one. */
const SNIPPETS = 'dist/readme'

const TABLES: Readonly<Record<string, string>> = {
  'exit-codes': [
    '| exit code | meaning |',
    '|---|---|',
    ...(Object.keys(EXIT) as (keyof typeof EXIT)[]).map((name) => `| ${EXIT[name]} | ${EXIT_MEANINGS[name]} |`),
  ].join('\n'),
  errors: printErrorsMarkdown(),
  options: printOptionsMarkdown(),
  benchmarks: printBenchmarksMarkdown(),
}

for (const [name, printed] of Object.entries(TABLES))
  test.serial(`table of ${name}`, (t) => {
    const [begin, end] = [`<!-- ${name}:begin -->\n`, `\n<!-- ${name}:end -->`]
    const text = readFileSync(README, 'utf8')
    const [before, rest] = [text.slice(0, text.indexOf(begin)), text.slice(text.indexOf(begin) + begin.length - 1)]
    const written = rest.slice(1, rest.indexOf(end))
    if (process.env['README_UPDATE'] && written !== printed) {
      writeFileSync(README, before + begin + printed + rest.slice(rest.indexOf(end)))
      t.pass()
      return
    }
    t.is(written, printed, 'README_UPDATE=1 npx ava dist/test/readme.test.js writes it anew')
  })

test.serial('programs compile under strict, those that execute build a graph, tests pass', async (t) => {
  const run = promisify(execFile)
  const snippets = [...readFileSync(README, 'utf8').matchAll(/^```ts\n\/\/ ([\w-]+(?:\.test)?\.ts)\b(.*\n[\s\S]*?)^```$/gm)]
  const all = [...readFileSync(README, 'utf8').matchAll(/^```ts$/gm)]
  t.is(snippets.length, all.length, 'each begins with a comment that names its file')
  rmSync(SNIPPETS, { recursive: true, force: true })
  mkdirSync(SNIPPETS, { recursive: true })
  for (const [block, name] of snippets) writeFileSync(`${SNIPPETS}/${name}`, block.replace(/^```.*$/gm, ''))
  writeFileSync(
    `${SNIPPETS}/tsconfig.json`,
    JSON.stringify({ extends: '../../test/fixtures/types/tsconfig.json', compilerOptions: { noEmit: false }, include: ['*.ts'] }),
  )
  const output = await run('node_modules/.bin/tsc', ['-p', SNIPPETS]).then(
    ({ stdout }) => stdout,
    (error: { stdout: string }) => error.stdout,
  )
  t.is(output, '')
  for (const [block, name] of snippets) {
    const file = `${SNIPPETS}/${name}`
    if (block.includes('getExecutionEnvironment(')) t.true((await graphOfProgram({ file, args: [] })).jobGraph.vertices.length > 0, name)
    if (name!.endsWith('.test.ts')) await t.notThrowsAsync(run(process.execPath, [file.replace(/\.ts$/, '.js')]))
  }
})

test('REST endpoints', (t) => {
  const unused = () => {
    throw new Error('no request is served')
  }
  const rest = { leading: unused, leader: unused, processMetrics: unused, configuration: [], version: '', maxContentLength: 0 }
  const routes = leaderRoutes(rest as unknown as Parameters<typeof leaderRoutes>[0])
  const local = [...readFileSync('daemon/jobmanager/rest/handlers.ts', 'utf8').matchAll(/router\.get\('([^']+)'/g)].map(
    ([, path]) => `GET ${path}`,
  )
  const served = [...routes.map(({ method, path }) => `${method.toUpperCase()} ${path}`), ...local]
  const written = [...readFileSync(README, 'utf8').matchAll(/^\| `((?:GET|POST|PATCH) \/[^`]*)` \|/gm)].map(([, request]) => request)
  t.deepEqual(written.sort(), served.sort())
})

test('metrics', (t) => {
  const names = (file: string) =>
    [...readFileSync(file, 'utf8').matchAll(/flott_(?:jobmanager|taskmanagers|slots|jobs?|task)\w*/g)].map(([name]) => name)
  const exported = ['prometheus', 'handlers'].flatMap((file) => names(`daemon/jobmanager/rest/${file}.ts`))
  t.deepEqual([...new Set(names(README))].sort(), [...new Set([...exported, ...names('daemon/jobmanager/start-job-manager.ts')])].sort())
})

test('scripts say how they are used, and do nothing else then', (t) => {
  const named = new Set([...readFileSync(README, 'utf8').matchAll(/^\| `(bin\/[\w-]+\.sh)/gm)].map(([, script]) => script!))
  t.true(named.size >= 5)
  for (const script of [...named, 'bin/stop-zookeeper-quorum.sh', 'bin/quickstart.sh', 'bin/install-missing.sh']) {
    const { status, stdout, stderr } = spawnSync(script, ['--help'], { encoding: 'utf8' })
    t.is(status, 0, script)
    t.regex(stdout, new RegExp(`^usage: ${script.slice(4)}`, 'm'))
    t.is(stderr, '')
  }
})

test('every configuration key is read somewhere', (t) => {
  const accepted = ['execution.runtime-mode'] // For programs written with Flink in mind.
  const sources = ['daemon', 'client', 'bin'].flatMap((folder) =>
    (readdirSync(folder, { recursive: true }) as string[])
      .filter((file) => /\.(ts|sh)$/.test(file) && file !== 'core/config/options.ts')
      .map((file) => readFileSync(`${folder}/${file}`, 'utf8')),
  )
  const unread = KNOWN_KEYS.filter((key) => !accepted.includes(key) && !sources.some((source) => source.includes(key)))
  t.deepEqual(unread, [])
})
