/** Gaps between the records of a job, from the times that its tasks have written down. */
import { closeSync, openSync, readdirSync, readSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'

export interface Gap {
  readonly from: number
  readonly ms: number
}
/** Shorter ones are the rhythm of the source. */
const GAP_MIN_MS = 30

export class GapMeter {
  readonly #offsets = new Map<string, number>()
  #last: number | undefined

  /** `stamps`: what the names of the files begin with. */
  constructor(private readonly stamps: string) {}

  /** Those that have ended since the last time, and one that still goes on. */
  read(now: number): readonly Gap[] {
    const times = this.#news().sort((a, b) => a - b)
    const gaps: Gap[] = []
    const measure = (time: number) => {
      if (this.#last !== undefined && time - this.#last >= GAP_MIN_MS) gaps.push({ from: this.#last, ms: Math.round(time - this.#last) })
    }
    for (const time of times) {
      measure(time)
      this.#last = Math.max(time, this.#last ?? 0)
    }
    measure(now)
    return gaps
  }
  #news(): number[] {
    return readdirSync(dirname(this.stamps))
      .filter((name) => name.startsWith(`${basename(this.stamps)}.`))
      .flatMap((name) => this.#linesOf(join(dirname(this.stamps), name)))
  }
  #linesOf(file: string): number[] {
    const fd = openSync(file, 'r')
    const chunks: Buffer[] = []
    let offset = this.#offsets.get(file) ?? 0
    for (;;) {
      const chunk = Buffer.alloc(1 << 16)
      const bytes = readSync(fd, chunk, 0, chunk.length, offset)
      if (bytes === 0) break
      offset += bytes
      chunks.push(chunk.subarray(0, bytes))
    }
    closeSync(fd)
    const text = Buffer.concat(chunks).toString()
    const complete = text.lastIndexOf('\n') + 1
    this.#offsets.set(file, offset - (text.length - complete))
    return text.slice(0, complete).split('\n').slice(0, -1).map(Number)
  }
}

export interface Quantiles {
  readonly count: number
  readonly p50: number
  readonly p99: number
  readonly max: number
}
export function quantiles(values: readonly number[]): Quantiles {
  const sorted = [...values].sort((a, b) => a - b)
  const at = (q: number) => sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? 0
  return { count: sorted.length, p50: at(0.5), p99: at(0.99), max: sorted.at(-1) ?? 0 }
}
