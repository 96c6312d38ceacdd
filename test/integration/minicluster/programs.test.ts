/** Programs in plain `node`, each a process with a cluster in it: what they print is what was computed here without them. */
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { type ProgramResult, runProgramToEnd, startProgram } from '../../support/run-program.js'
import { calls, sales, words } from '../programs/inputs.js'

/** A temporary directory of the test's own, to which the program's TMPDIR points: what is left in it at the end was left behind. */
function ownTemporaryDirectory(t: ExecutionContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'flott-programs-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

function succeeded(t: ExecutionContext, { code, signal, stderr }: ProgramResult): void {
  t.deepEqual({ code, signal, stderr }, { code: 0, signal: null, stderr: '' })
}

const lines = (text: string): string[] => text.split('\n').filter((line) => line !== '')
const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length
function grouped<T, K>(records: readonly T[], key: (record: T) => K): Map<K, T[]> {
  const groups = new Map<K, T[]>()
  for (const record of records) groups.set(key(record), [...(groups.get(key(record)) ?? []), record])
  return groups
}
const byText = (records: readonly unknown[]): string[] => records.map((record) => JSON.stringify(record)).sort()

test.serial('several jobs one after another, collected and counted; nothing is left behind', async (t) => {
  const TMPDIR = ownTemporaryDirectory(t)
  const result = await runProgramToEnd('several-jobs', [], { env: { TMPDIR } })
  succeeded(t, result)
  t.deepEqual(readdirSync(TMPDIR), [])
  const [begins, json = '', ...more] = lines(result.stdout)
  t.deepEqual([begins, more], ['begins', []])
  const found = JSON.parse(json) as Record<'averages' | 'slowRoutes' | 'best' | 'distinct', unknown[]> & { seen: number }

  const seconds = grouped(calls, (call) => Math.floor(call.at / 1_000))
  const perRoute = [...seconds].map(([second, inSecond]) =>
    [...grouped(inSecond, (call) => call.route)].map(([route, own]) => ({
      route,
      end: (second + 1) * 1_000,
      mean: mean(own.map((call) => call.ms)),
    })),
  )
  const slow = perRoute.flat().filter((r) => r.mean > 800)
  t.true(slow.length > 0 && slow.length < perRoute.flat().length)
  t.deepEqual(byText(found.slowRoutes), byText(slow))
  const averages = perRoute.map((routes) => mean(routes.map((r) => r.mean)))
  t.deepEqual(
    (found.averages as number[]).map((average) => average.toFixed(6)).sort(),
    averages.map((average) => average.toFixed(6)).sort(),
  )

  const best = [...grouped(sales, (sale) => Math.floor(sale.at / 60_000))].map(([minute, sold]) => ({
    minute: (minute + 1) * 60_000,
    products: [...grouped(sold, (sale) => sale.product)]
      .sort(([, a], [, b]) => b.length - a.length)
      .slice(0, 3)
      .map(([product]) => product),
  }))
  t.deepEqual(byText(found.best), byText(best))
  t.deepEqual(byText(found.distinct), byText([...new Set(words)].map((word) => ({ word, at: words.indexOf(word) }))))
  t.is(found.seen, words.length)
})

test.serial('windows fire, fire again for what is late but allowed, and put aside what is too late', async (t) => {
  const result = await runProgramToEnd('page-views')
  succeeded(t, result)
  const view = (page: string, at: number, seconds: number) => `minute> ${JSON.stringify({ page, at, seconds })}`
  t.deepEqual(
    lines(result.stdout).sort(),
    [view('a', 1_000, 1), view('a', 1_000, 9), view('b', 2_000, 2), view('a', 61_000, 4), view('b', 200_000, 16), 'late> a at 3000'].sort(),
  )
})

test.serial("a two-phase sink of the program's own commits every record once", async (t) => {
  const output = ownTemporaryDirectory(t)
  succeeded(t, await runProgramToEnd('json-lines-sink', ['700', output]))
  const files = readdirSync(output)
  t.deepEqual(
    files.filter((name) => name.startsWith('.')),
    [],
  )
  t.true(files.length > 2, 'more than one checkpoint committed')
  const numbers = files.flatMap((name) =>
    lines(readFileSync(join(output, name), 'utf8')).map((line) => (JSON.parse(line) as { i: number }).i),
  )
  t.deepEqual(
    numbers.sort((a, b) => a - b),
    Array.from({ length: 700 }, (_, i) => i),
  )
})

test.serial("a source of the program's own reads shards over HTTP as they appear, until enough is collected", async (t) => {
  const shards = new Map(['x', 'y'].map((id) => [id, Array.from({ length: 25 }, (_, i) => ({ symbol: id, price: i }))]))
  let asked = 0
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://feed')
    const id = url.pathname.slice('/shards/'.length)
    const after = Number(url.searchParams.get('after'))
    const answer = id === '' ? [...shards.keys()].slice(0, ++asked > 2 ? 2 : 1) : (shards.get(id) ?? []).slice(after, after + 10)
    response.setHeader('content-type', 'application/json').end(JSON.stringify(answer))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const TMPDIR = ownTemporaryDirectory(t)
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const result = await runProgramToEnd('feed-source', [url, '50'], { env: { TMPDIR } })
  succeeded(t, result)
  t.deepEqual(byText(JSON.parse(result.stdout) as unknown[]), byText([...shards.values()].flat()))
  t.deepEqual(readdirSync(TMPDIR), [])
})

test.serial("a failed job rejects with JOB_FAILED, and its cause names the source's line", async (t) => {
  const { code, stdout } = await runProgramToEnd('failing', ['catch'])
  t.is(code, 0)
  const error = JSON.parse(lines(stdout).at(-1)!) as { code: string; message: string; chain: string[] }
  t.is(error.code, 'JOB_FAILED')
  t.regex(error.message, /operator 'refuse'.*two is too many/)
  const source = readFileSync('test/integration/programs/failing.ts', 'utf8').split('\n')
  const line = source.findIndex((text) => text.includes('throw new RangeError')) + 1
  t.regex(error.chain.at(-1)!, /RangeError|two is too many/)
  t.true(error.chain.at(-1)!.includes(`failing.ts:${line}:`), error.chain.at(-1))
})

test.serial('a failed job that nobody catches ends the program with an error, and nothing is left behind', async (t) => {
  const TMPDIR = ownTemporaryDirectory(t)
  const { code, stderr } = await runProgramToEnd('failing', [], { env: { TMPDIR } })
  t.is(code, 1)
  t.regex(stderr, /JOB_FAILED.*two is too many/)
  t.deepEqual(readdirSync(TMPDIR), [])
})

for (const signal of ['SIGINT', 'SIGTERM'] as const)
  test.serial(`${signal} ends a running program at once and leaves nothing behind`, async (t) => {
    const TMPDIR = ownTemporaryDirectory(t)
    const program = startProgram('endless', [], { env: { TMPDIR } })
    await program.printed('1000\n')
    program.process.kill(signal)
    const result = await program.result
    t.deepEqual({ code: result.code, signal: result.signal, stderr: result.stderr }, { code: null, signal, stderr: '' })
    t.deepEqual(readdirSync(TMPDIR), [])
  })
