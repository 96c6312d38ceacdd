/** The examples do what their first lines say. */
import { mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { SilenceAlert } from '#client/examples/silence.js'
import { graphOfProgram } from '#client/submit/program-runner.js'
import { drawn } from '../support/graph.js'
import { collectInSlot, runFileInSlot } from '../support/program-in-slot.js'

test.serial('word-count', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'flott-example-'))
  writeFileSync(join(directory, 'one.txt'), "It's a dog. A dog!\n")
  writeFileSync(join(directory, 'two.txt'), 'a cat\r\n\r\na cat, a dog')
  const output = join(directory, 'counts')
  await runFileInSlot('client/examples/word-count.ts', ['--input', join(directory, '*.txt'), '--output', output])
  const lines = readdirSync(output).flatMap((name) => readFileSync(join(output, name), 'utf8').trimEnd().split('\n'))
  t.deepEqual(lines.sort(), ['1 A', '1 It', '1 s', '2 cat', '3 dog', '4 a'])
  await t.throwsAsync(graphOfProgram({ file: 'client/examples/word-count.ts', args: ['--input', 'x'] }), { message: /usage/ })
})

test.serial('windows', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'flott-example-'))
  const view = (page: string, at: number, seconds: number) => `${JSON.stringify({ page, user: 'u', at, seconds })}\n`
  writeFileSync(join(directory, 'views.json'), view('a', 0, 1) + view('b', 1_000, 2) + view('a', 59_999, 3) + view('a', 60_000, 4))
  const { printed } = await runFileInSlot('client/examples/windows.ts', [directory])
  t.deepEqual(
    printed
      .map((line) => JSON.parse(line.replace('minute> ', '')) as { page: string; seconds: number })
      .map((v) => `${v.page} ${v.seconds}`)
      .sort(),
    ['a 4', 'a 4', 'b 2'],
  )
})

test.serial('silence', async (t) => {
  const { jobGraph } = await graphOfProgram({
    file: 'client/examples/silence.ts',
    args: ['{"timeout":"1 min","beats":"b","silences":"s"}'],
  })
  t.deepEqual(drawn(jobGraph), ['Source: beats [1] =hash=> silence -> Sink: silences [1]'])
  const beats = [
    { device: 'a', at: 1_000 },
    { device: 'b', at: 2_000 },
    { device: 'a', at: 5_000 },
    { device: 'a', at: 500_000 },
  ]
  const silences = await collectInSlot((env) =>
    env
      .fromData(beats, { uid: 'beats', watermarks: { timestamp: 'at', maxOutOfOrderness: 0 } })
      .keyBy('device')
      .process(new SilenceAlert('1 min'), 'silence'),
  )
  t.deepEqual(
    [...silences].sort((x, y) => x.since - y.since).map((s) => `${s.device} ${s.since}`),
    ['b 2000', 'a 500000'],
  )
})
