/** Measures variants in turn, many times, so that what else the machine does hits all of them alike. */
import { execFileSync } from 'node:child_process'
import { cpus } from 'node:os'
import { systemClock } from '#core/clock.js'

export interface Sample {
  readonly operations: number
  readonly cpuMs: number
}

/** CPU time of this process so far; the work of other processes is not in it. */
export function cpuMs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}

/** Operations a CPU second of each variant, by rounds: the first are warm-up. */
export function inTurn(variants: Readonly<Record<string, () => Sample>>, rounds: number, warmUp: number): Record<string, number[]> {
  const rates: Record<string, number[]> = Object.fromEntries(Object.keys(variants).map((name) => [name, []]))
  for (let round = -warmUp; round < rounds; round++)
    for (const [name, run] of Object.entries(variants)) {
      const sample = run()
      if (round >= 0) rates[name]!.push((sample.operations / sample.cpuMs) * 1000)
    }
  return rates
}

export function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b)
  return sorted[sorted.length >> 1] ?? Number.NaN
}

/** Median of the quotients round by round. */
export function ratio(a: readonly number[], b: readonly number[]): number {
  return median(a.map((rate, i) => rate / b[i]!))
}

export function hundredths(figure: number): number {
  return Math.round(figure * 100) / 100
}

export interface Elapsed {
  readonly ms: number
  /** Of this process. */
  readonly cpuMs: number
}
export async function timed(work: () => Promise<unknown>): Promise<Elapsed> {
  const [start, cpu] = [systemClock.monotonicMs(), cpuMs()]
  await work()
  return { ms: systemClock.monotonicMs() - start, cpuMs: cpuMs() - cpu }
}
/** Median, and how far from it: runningMs, runningMinMs, … */
export function spread(what: string, times: readonly Elapsed[]): Record<string, number> {
  const ms = times.map((time) => time.ms)
  return {
    [`${what}Ms`]: hundredths(median(ms)),
    [`${what}MinMs`]: hundredths(Math.min(...ms)),
    [`${what}MaxMs`]: hundredths(Math.max(...ms)),
  }
}

/** Prints one JSON line. */
export function report(name: string, figures: Readonly<Record<string, unknown>>): void {
  const line = { name, ...figures, node: process.version, cpus: cpus().length, commit: commit() }
  process.stdout.write(`${JSON.stringify(line)}\n`)
}

function commit(): string {
  try {
    return execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
  } catch {
    return 'unknown'
  }
}
