import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { cut } from '#client/connectors/file-enumerator.js'
import { fileSource } from '#client/connectors/file-source.js'
import { formats } from '#client/connectors/formats.js'
import { LineReader } from '#client/connectors/line-reader.js'
import type { Source, SourceSplit } from '#core/functions/source.js'
import { between, pick, type Random, seededRandom } from '#core/random.js'
import { types } from '#core/serialization/declared-types.js'
import { FakeClock } from '../../../support/fake-clock.js'
import { SourceDriver } from '../../../support/source-driver.js'

const directory = () => mkdtempSync(join(tmpdir(), 'flott-lines-'))
const clock = new FakeClock()

async function driver<T>(source: Source<T, SourceSplit, unknown>, parallelism = 1): Promise<SourceDriver<T>> {
  const made = new SourceDriver(source, { parallelism, clock })
  await made.listed()
  return made
}

/** Lines as a reader must give them: split at line ends, without a carriage return, no empty one behind the last end. */
function linesOf(content: Buffer): string[] {
  const lines = content.toString('utf8').split('\n')
  if (lines.at(-1) === '') lines.pop()
  return lines.map((line) => (line.endsWith('\r') ? line.slice(0, -1) : line))
}

function randomContent(random: Random): Buffer {
  const texts = ['', 'a', 'word and word', 'grüße', '日本語', '😀 smile', 'x'.repeat(between(random, 0, 40)), '\u2028']
  const ends = ['\n', '\n', '\n', '\r\n']
  let text = ''
  for (let i = between(random, 0, 30); i > 0; i--) text += pick(random, texts) + pick(random, ends)
  if (random.next() < 0.5) text += pick(random, texts)
  const content = Buffer.from(text)
  // Bytes that are no UTF-8 must not shift offsets.
  if (content.length > 4 && random.next() < 0.2) content[between(random, 0, content.length)] = 0xff
  return content
}

test('every line is read once, however the file is cut and wherever it is restored', async (t) => {
  for (let seed = 1; seed <= 120; seed++) {
    const random = seededRandom(seed)
    const path = join(directory(), 'input.txt')
    const content = randomContent(random)
    writeFileSync(path, content)
    const source = fileSource(path, formats.lines, { splitBytes: between(random, 1, 60) })
    let run = await driver(source, between(random, 1, 4))
    const parallelism = between(random, 1, 4)
    for (let polls = between(random, 0, 12); polls > 0 && !run.done; polls--) run.poll(between(random, 0, run.parallelism))
    const before = [...run.records]
    const restored = run.snapshot()
    run.close()
    run = new SourceDriver(source, { parallelism, clock, restored })
    await run.listed()
    t.deepEqual([...before, ...run.drain()].sort(), linesOf(content).sort(), `seed ${seed}`)
  }
})

test('a reader stopped behind any line goes on with the next', (t) => {
  for (let seed = 1; seed <= 120; seed++) {
    const random = seededRandom(seed)
    const path = join(directory(), 'input.txt')
    const content = randomContent(random)
    writeFileSync(path, content)
    const lines: string[] = []
    for (const split of cut({ path, bytes: content.length }, between(random, 1, 80))) {
      let reader = new LineReader(split)
      while (reader.read(between(random, 1, 4), (line) => lines.push(line))) {
        if (random.next() < 0.5) continue
        const position = reader.position()
        reader.close()
        reader = new LineReader(position)
      }
      reader.close()
    }
    t.deepEqual(lines, linesOf(content), `seed ${seed}`)
  }
})

test('a restore goes on in the middle of a block', async (t) => {
  const path = join(directory(), 'input.txt')
  const lines = Array.from({ length: 5_000 }, (_, i) => `zeile ${i} ${i % 7 === 0 ? 'ü' : ''}`)
  writeFileSync(path, `${lines.join('\n')}\n`)
  const source = fileSource(path, formats.lines)
  for (const polls of [1, 2, 5, 9]) {
    const first = await driver(source)
    for (let i = 0; i <= polls; i++) first.poll(0)
    const second = new SourceDriver(source, { parallelism: 1, clock, restored: first.snapshot() })
    t.deepEqual([...first.records, ...second.drain()], lines)
    t.true(first.records.length > 0 && first.records.length < lines.length)
  }
})

test('lines longer than a block and longer than a split', async (t) => {
  const path = join(directory(), 'input.txt')
  const lines = ['short', 'x'.repeat(700_000), 'y'.repeat(262_143), 'z'.repeat(262_144), '', 'end']
  writeFileSync(path, lines.join('\n'))
  for (const splitBytes of [100_000, 262_144, 10_000_000]) {
    const run = await driver(fileSource(path, formats.lines, { splitBytes }), 3)
    t.deepEqual([...run.drain()].sort(), [...lines].sort())
  }
})

test('one reader of one split keeps the order', async (t) => {
  const path = join(directory(), 'input.txt')
  writeFileSync(path, 'b\na\n\nc')
  t.deepEqual((await driver(fileSource(path, formats.lines))).drain(), ['b', 'a', '', 'c'])
})

test('an empty file has no lines', async (t) => {
  const path = join(directory(), 'empty.txt')
  writeFileSync(path, '')
  t.deepEqual((await driver(fileSource(path, formats.lines), 2)).drain(), [])
})

test('a directory is read with those below it, but not what is hidden', async (t) => {
  const root = directory()
  mkdirSync(join(root, 'sub'))
  mkdirSync(join(root, '.hidden'))
  for (const [name, text] of Object.entries({ a: '1', 'sub/b': '2', '.c': '3', _d: '4', '.hidden/e': '5' }))
    writeFileSync(join(root, name), text)
  t.deepEqual([...(await driver(fileSource(root, formats.lines))).drain()], ['1', '2'])
})

test('patterns', async (t) => {
  const root = directory()
  mkdirSync(join(root, 'x/y'), { recursive: true })
  for (const name of ['a.txt', 'b.txt', 'c.log', '.d.txt', 'x/e.txt', 'x/y/f.txt']) writeFileSync(join(root, name), name)
  const found = async (pattern: string) => [...(await driver(fileSource(join(root, pattern), formats.lines))).drain()]
  t.deepEqual(await found('*.txt'), ['a.txt', 'b.txt'])
  t.deepEqual(await found('[!a].*'), ['b.txt', 'c.log'])
  t.deepEqual(await found('?.{log,txt}'), ['a.txt', 'b.txt', 'c.log'])
  t.deepEqual(await found('**/*.txt'), ['a.txt', 'b.txt', 'x/e.txt', 'x/y/f.txt'])
  t.deepEqual(await found('*/e.txt'), ['x/e.txt'])
})

test('a bounded source of a file that is not there fails', async (t) => {
  const run = new SourceDriver(fileSource(join(directory(), 'missing'), formats.lines), { parallelism: 1, clock })
  await t.throwsAsync(run.listed(), { message: /INVALID_ARGUMENT: no file/ })
})

test('a watched directory gives each new file once, also after a restore', async (t) => {
  const root = directory()
  writeFileSync(join(root, '1'), 'one\n')
  const source = fileSource(root, formats.lines, { monitorInterval: '1 s' })
  t.is(source.boundedness, 'continuous-unbounded')
  let run = await driver(source)
  const pollAll = () => {
    for (let i = 0; i < 10; i++) run.poll(0)
  }
  pollAll()
  writeFileSync(join(root, '2'), 'two\n')
  await run.relist!()
  pollAll()
  t.deepEqual(run.records, ['one', 'two'])
  run = new SourceDriver(source, { parallelism: 1, clock, restored: run.snapshot() })
  writeFileSync(join(root, '3'), 'three\n')
  await run.listed()
  await run.relist!()
  pollAll()
  t.deepEqual(run.records, ['three'])
  t.false(run.done)
})

test('a file that became shorter fails, and names itself', async (t) => {
  const path = join(directory(), 'input.txt')
  writeFileSync(path, 'x\n'.repeat(100))
  const run = await driver(fileSource(path, formats.lines, { splitBytes: 50 }))
  writeFileSync(path, '')
  t.throws(() => run.drain(), { message: /input\.txt is shorter/ })
})

test('a rate holds lines back', async (t) => {
  const path = join(directory(), 'input.txt')
  writeFileSync(path, 'x\n'.repeat(100))
  const paced = new FakeClock()
  const run = new SourceDriver(fileSource(path, formats.lines, { ratePerSecond: 10 }), { parallelism: 1, clock: paced })
  await run.listed()
  run.poll(0)
  t.is(run.poll(0), 'more-available')
  t.is(run.poll(0), 'nothing-available')
  let woken = false
  void run.available(0).then(() => (woken = true))
  await paced.advance(99)
  t.false(woken)
  await paced.advance(1)
  t.true(woken)
  run.poll(0)
  t.is(run.records.length, 2)
  await paced.advance(500)
  run.poll(0)
  t.is(run.records.length, 7)
})

test('lines of JSON and CSV are checked against their type', async (t) => {
  const root = directory()
  const type = types.row({ name: types.string, n: types.int, note: types.optional(types.string) })
  writeFileSync(join(root, 'good.json'), '{"name":"a","n":1}\n{"name":"b","n":2,"note":"x","more":true}\n')
  t.deepEqual((await driver(fileSource(join(root, 'good.json'), formats.json(type)))).drain(), [
    { name: 'a', n: 1 },
    { name: 'b', n: 2, note: 'x' },
  ])
  writeFileSync(join(root, 'good.csv'), 'a,1,\n"b ""q"", c",2,"x"\n')
  t.deepEqual((await driver(fileSource(join(root, 'good.csv'), formats.csv(type)))).drain(), [
    { name: 'a', n: 1 },
    { name: 'b "q", c', n: 2, note: 'x' },
  ])
  writeFileSync(join(root, 'bad.json'), '{"name":"a","n":1.5}\n')
  const bad = await driver(fileSource(join(root, 'bad.json'), formats.json(type)))
  t.throws(() => bad.drain(), { message: /RECORD_TYPE_MISMATCH: .*bad\.json.*n: 1\.5 is not a 32-bit integer/ })
})
