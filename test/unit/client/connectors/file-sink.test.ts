import { existsSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { fileSink } from '#client/connectors/file-sink.js'
import { formats } from '#client/connectors/formats.js'
import type { CommitRequest, CommittingWriter, TwoPhaseSink } from '#core/functions/sink.js'
import { types } from '#core/serialization/declared-types.js'
import { stubRuntime } from '../../../support/runtime-context.js'

const at = { timestamp: Number.NaN, currentWatermark: -Infinity }

class Request implements CommitRequest<unknown> {
  readonly numberOfRetries = 0
  outcome = 'committed'
  constructor(readonly committable: unknown) {}
  retryLater() {
    this.outcome = 'retry'
  }
  signalAlreadyCommitted() {
    this.outcome = 'already'
  }
  signalFailed(error: Error) {
    this.outcome = error.message
  }
}
async function commit(sink: TwoPhaseSink<string, unknown, unknown>, committables: readonly unknown[]): Promise<string[]> {
  const requests = committables.map((c) => new Request(JSON.parse(JSON.stringify(c))))
  await (await sink.createCommitter(stubRuntime())).commit(requests)
  return requests.map((r) => r.outcome)
}
async function writer(sink: TwoPhaseSink<string, unknown, unknown>, attempt = 0): Promise<CommittingWriter<string, unknown, unknown>> {
  return sink.createWriter(stubRuntime(0, 1, attempt), [])
}
const visible = (directory: string) => readdirSync(directory).filter((name) => !name.startsWith('.'))
const contents = (directory: string) =>
  visible(directory)
    .map((name) => readFileSync(join(directory, name), 'utf8'))
    .sort()

test('a part appears with its commit, and committing again does no harm', async (t) => {
  const directory = join(mkdtempSync(join(tmpdir(), 'flott-sink-')), 'new', 'out')
  const sink = fileSink(directory, formats.lines)
  const out = await writer(sink)
  out.write('a', at)
  out.write('b', at)
  const first = await out.prepareCommit(1)
  out.write('c', at)
  t.deepEqual(visible(directory), [])
  t.deepEqual(await commit(sink, first), ['committed'])
  t.deepEqual(contents(directory), ['a\nb\n'])
  t.deepEqual(await commit(sink, first), ['already'])
  const second = await out.prepareCommit(2)
  t.deepEqual(await commit(sink, [...first, ...second]), ['already', 'committed'])
  t.deepEqual(contents(directory), ['a\nb\n', 'c\n'])
  t.deepEqual(await out.prepareCommit(3), [])
})

test('a commit that was cut short between link and unlink is finished', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'flott-sink-'))
  const sink = fileSink(directory, formats.lines)
  const out = await writer(sink)
  out.write('a', at)
  const [part] = (await out.prepareCommit(1)) as { from: string; to: string }[]
  const { linkSync } = await import('node:fs')
  linkSync(part!.from, part!.to)
  t.deepEqual(await commit(sink, [part]), ['already'])
  t.false(existsSync(part!.from))
  t.deepEqual(contents(directory), ['a\n'])
})

test('another file of the name, or a lost part, fails the commit', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'flott-sink-'))
  const sink = fileSink(directory, formats.lines)
  const out = await writer(sink)
  out.write('a', at)
  const [part] = (await out.prepareCommit(1)) as { from: string; to: string }[]
  writeFileSync(part!.to, 'theirs')
  t.regex((await commit(sink, [part]))[0]!, /STORAGE_FAILED.* is another file/)
  t.is(readFileSync(part!.to, 'utf8'), 'theirs')
  const { rmSync } = await import('node:fs')
  rmSync(part!.to)
  rmSync(part!.from)
  t.regex((await commit(sink, [part]))[0]!, /STORAGE_FAILED.* is gone/)
})

test('a part that can never be linked fails the commit, and is not tried again without end', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'flott-sink-'))
  const sink = fileSink(directory, formats.lines)
  const out = await writer(sink)
  out.write('a', at)
  const [part] = (await out.prepareCommit(1)) as { from: string; to: string }[]
  writeFileSync(join(directory, 'file'), '')
  const [outcome] = await commit(sink, [{ ...part!, to: join(directory, 'file', 'part') }])
  t.regex(outcome!, /STORAGE_FAILED.* can not be linked to .*: ENOTDIR/)
})

test('what a lost attempt wrote after its last checkpoint never appears', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'flott-sink-'))
  const sink = fileSink(directory, formats.lines)
  const lost = await writer(sink, 0)
  lost.write('a', at)
  const kept = await lost.prepareCommit(1)
  lost.write('b', at)
  await lost.close?.()
  const next = await writer(sink, 1)
  next.write('b', at)
  t.deepEqual(await commit(sink, [...kept, ...(await next.prepareCommit(2))]), ['committed', 'committed'])
  t.deepEqual(contents(directory), ['a\n', 'b\n'])
})

test('two sinks of a task share a directory', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'flott-sink-'))
  const [one, two] = [fileSink(directory, formats.lines), fileSink(directory, formats.lines)]
  const writers = [await writer(one), await writer(two)]
  for (const checkpoint of [1, 2]) {
    for (const [i, out] of writers.entries()) out.write(`${i} ${checkpoint}`, at)
    for (const [i, out] of writers.entries()) t.deepEqual(await commit([one, two][i]!, await out.prepareCommit(checkpoint)), ['committed'])
  }
  t.deepEqual(contents(directory), ['0 1\n', '0 2\n', '1 1\n', '1 2\n'])
})

test('formats write what they read', (t) => {
  const type = types.row({ id: types.bigint, tags: types.array(types.string), raw: types.bytes, seen: types.nullable(types.timestamp) })
  const json = formats.json(type) as unknown as { encode(r: unknown): string; decode(l: string): unknown }
  const record = { id: 12345678901234567890n, tags: ['a', 'ü'], raw: new Uint8Array([0, 255]), seen: null }
  t.deepEqual(json.decode(json.encode(record)), record)
  const flat = types.row({ name: types.string, n: types.number, note: types.optional(types.string), ok: types.boolean })
  const csv = formats.csv(flat) as unknown as typeof json
  for (const row of [
    { name: 'a, "b"', n: -1.5, ok: true },
    { name: '', n: 0, note: '', ok: false },
  ])
    t.deepEqual(csv.decode(csv.encode(row)), row)
  t.throws(() => csv.encode({ name: 'two\nlines', n: 0, ok: true }), { message: /RECORD_NOT_SERIALIZABLE/ })
  t.throws(() => csv.decode('a,1'), { message: /RECORD_TYPE_MISMATCH/ })
})
