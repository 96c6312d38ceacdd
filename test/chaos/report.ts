/** What a run has done and seen, for people and as one line of JSON. */
import { type Gap, quantiles } from './gaps.js'
import type { Network } from './hosts.js'
import type { Injected } from './nemesis.js'

interface StepResult {
  readonly injected: readonly Injected[]
  /** From the end of the last fault; undefined: not waited for. */
  readonly recoveryMs: number | undefined
  /** Of the main job; undefined: not all was well before or after. */
  readonly restarts: number | undefined
  readonly gaps: readonly Gap[]
}

export class Report {
  readonly violations: string[] = []
  readonly #steps: StepResult[] = []
  minutes = 0
  records = 0
  restarts: number | undefined
  control: Readonly<Record<string, number>> = {}

  constructor(
    readonly seed: number,
    private readonly network: Network,
  ) {}

  /** A line about it. */
  step(result: StepResult): string {
    this.#steps.push(result)
    const { injected, recoveryMs, restarts, gaps } = result
    const done = injected.map(({ fault, victim, leftOut }) =>
      leftOut === undefined ? `${fault}: ${victim}` : `${fault} left out: ${leftOut}`,
    )
    return `  ${done.join(', ')}; largest gap ${largest(gaps)} ms${recoveryMs === undefined ? '' : `; all well after ${recoveryMs} ms`}${restarts ? `; restarts: ${restarts}` : ''}`
  }

  json(): object {
    const done = this.#steps.flatMap(({ injected }) => injected.filter(({ leftOut }) => leftOut === undefined))
    const leftOut = this.#steps.flatMap(({ injected }) => injected.filter((one) => one.leftOut !== undefined))
    return {
      name: 'chaos',
      seed: this.seed,
      minutes: Number(this.minutes.toFixed(1)),
      hosts: this.network.slowness === undefined ? 'one' : 'namespaces',
      slowness: this.network.slowness ?? 'none',
      faults: done.length,
      faults_by_kind: countsOf(done.map(({ fault }) => fault)),
      left_out: countsOf(leftOut.map(({ fault, leftOut: why }) => `${fault}: ${why}`)),
      recoveries_ms: quantiles(this.#steps.flatMap(({ recoveryMs }) => (recoveryMs === undefined ? [] : [recoveryMs]))),
      /** The largest of each step. */
      gaps_ms: quantiles(this.#steps.map(({ gaps }) => largest(gaps))),
      gaps_ms_by_kind: this.#byKind((steps) => quantiles(steps.map(({ gaps }) => largest(gaps)))),
      restarts_by_kind: this.#byKind((steps) => steps.reduce((sum, { restarts }) => sum + (restarts ?? 0), 0)),
      records: this.records,
      restarts: this.restarts,
      control: this.control,
      violations: this.violations,
    }
  }
  /** Of steps with one fault, for then one knows what it was. */
  #byKind<T>(summary: (steps: readonly StepResult[]) => T): Record<string, T> {
    const alone = this.#steps.filter(({ injected }) => injected.length === 1 && injected[0]!.leftOut === undefined)
    const kinds = [...new Set(alone.map(({ injected }) => injected[0]!.fault))].sort()
    return Object.fromEntries(kinds.map((kind) => [kind, summary(alone.filter(({ injected }) => injected[0]!.fault === kind))]))
  }
}

function largest(gaps: readonly Gap[]): number {
  return Math.max(0, ...gaps.map(({ ms }) => ms))
}
function countsOf(names: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const name of [...names].sort()) counts[name] = (counts[name] ?? 0) + 1
  return counts
}
