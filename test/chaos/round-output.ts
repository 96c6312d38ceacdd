/** Checks what steady-counts.ts has committed, record by record, while it runs and at its end. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const SHOWN_MAX = 20

export class RoundOutput {
  readonly #read = new Set<string>()
  /** How often each count of a key was seen, by key and count. */
  readonly #seen = new Map<number, number[]>()
  /** Lines that should not be there, or not again. */
  readonly mistakes: string[] = []
  #lines = 0

  constructor(
    private readonly directory: string,
    private readonly keys: number,
  ) {}

  get lines(): number {
    return this.#lines
  }
  /** The highest count of any key so far. */
  get rounds(): number {
    return Math.max(0, ...[...this.#seen.values()].map((counts) => counts.length - 1))
  }

  /** What was committed since the last time: a committed file does not change, and hidden ones are parts in progress. */
  read(): void {
    for (const name of filesIn(this.directory)) {
      if (name.startsWith('.') || this.#read.has(name)) continue
      this.#read.add(name)
      for (const line of readFileSync(join(this.directory, name), 'utf8').split('\n').slice(0, -1)) this.#add(line, name)
    }
  }
  #add(line: string, file: string): void {
    this.#lines++
    const [, key, count] = /^(\d+) (\d+)$/.exec(line) ?? []
    if (key === undefined || Number(key) >= this.keys || Number(count) < 1) {
      this.#mistake(`'${line}' in ${file} is none of the output`)
      return
    }
    const counts = this.#seen.get(Number(key)) ?? []
    this.#seen.set(Number(key), counts)
    const times = (counts[Number(count)] ?? 0) + 1
    counts[Number(count)] = times
    if (times > 1) this.#mistake(`'${line}' is there ${times} times, at last in ${file}`)
  }
  #mistake(text: string): void {
    if (this.mistakes.length < SHOWN_MAX) this.mistakes.push(text)
  }

  /** All mistakes, and what is missing: up to the last of `rounds`; without them, before the last that is there of the same key. */
  verdict(rounds?: number): readonly string[] {
    this.read()
    const missing: string[] = []
    for (let key = 0; key < this.keys && missing.length < SHOWN_MAX; key++) {
      const counts = this.#seen.get(key) ?? []
      for (let i = 1; i < (rounds === undefined ? counts.length : rounds + 1) && missing.length < SHOWN_MAX; i++)
        if (!counts[i]) missing.push(`'${key} ${i}' is missing`)
      if (rounds !== undefined && counts.length > rounds + 1) missing.push(`key ${key} has counts up to ${counts.length - 1} of ${rounds}`)
    }
    return [...this.mistakes, ...missing]
  }
}

function filesIn(directory: string): string[] {
  try {
    return readdirSync(directory)
  } catch {
    return [] // Nothing was committed yet.
  }
}
