/** Checks the output of test/integration/jobs/numbered-counts.ts, line by line. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** Committed lines only: hidden files are parts in progress. */
export function committedLines(directory: string): string[] {
  return readdirSync(directory)
    .filter((name) => !name.startsWith('.'))
    .flatMap((name) => readFileSync(join(directory, name), 'utf8').split('\n').slice(0, -1))
}

export interface OutputMistakes {
  readonly missing: readonly string[]
  readonly doubled: readonly string[]
  readonly unexpected: readonly string[]
}

export function mistakesOf(lines: readonly string[], records: number, keys: number): OutputMistakes {
  const seen = new Map<string, number>()
  for (const line of lines) seen.set(line, (seen.get(line) ?? 0) + 1)
  const expected = new Set<string>()
  for (let i = 0; i < records; i++) expected.add(`${i % keys} ${Math.floor(i / keys) + 1}`)
  return {
    missing: [...expected].filter((line) => !seen.has(line)).slice(0, 20),
    doubled: [...seen]
      .filter(([line, n]) => n > 1 && expected.has(line))
      .map(([line, n]) => `${line} (${n} times)`)
      .slice(0, 20),
    unexpected: [...seen.keys()].filter((line) => !expected.has(line)).slice(0, 20),
  }
}
export const NO_MISTAKES: OutputMistakes = { missing: [], doubled: [], unexpected: [] }
