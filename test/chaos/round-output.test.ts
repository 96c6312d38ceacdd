/** A checker that sees nothing proves nothing. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { RoundOutput } from './round-output.js'

function outputOf(t: ExecutionContext, files: Readonly<Record<string, string>>): RoundOutput {
  const directory = mkdtempSync(join(tmpdir(), 'flott-rounds-'))
  t.teardown(() => rmSync(directory, { recursive: true }))
  for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text)
  return new RoundOutput(directory, 2)
}

test('the right output, in any order and any files', (t) => {
  const output = outputOf(t, { a: '0 2\n1 1\n', b: '1 2\n0 1\n', '.c': '0 3\n' })
  t.deepEqual(output.verdict(2), [])
  t.deepEqual([output.lines, output.rounds], [4, 2])
})

test('what is doubled, is missing within or at the end, is too much or is no line of it', (t) => {
  const verdict = (text: string, rounds?: number) => outputOf(t, { a: text }).verdict(rounds)
  t.deepEqual(verdict('0 1\n1 1\n0 1\n', 1), ["'0 1' is there 2 times, at last in a"])
  t.deepEqual(verdict('0 1\n1 1\n0 3\n'), ["'0 2' is missing"])
  t.deepEqual(verdict('0 1\n1 1\n0 2\n', 2), ["'1 2' is missing"])
  t.deepEqual(verdict('0 1\n1 1\n0 2\n', 1), ['key 0 has counts up to 2 of 1'])
  t.deepEqual(verdict('0 1\n1 1\n2 1\n', 1), ["'2 1' in a is none of the output"])
  t.deepEqual(verdict('0 1\n1 1\n0 x\n', 1), ["'0 x' in a is none of the output"])
})
