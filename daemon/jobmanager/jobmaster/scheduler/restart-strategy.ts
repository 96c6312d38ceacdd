/**
 * Whether and when a job restarts after a failure: pure functions of the failures so far, the time and a random number. Names and
 * defaults are Flink's (org.apache.flink.runtime.executiongraph.failover).
 */
export type RestartStrategy =
  | { readonly kind: 'none' }
  | { readonly kind: 'fixed-delay'; readonly attempts: number; readonly delayMs: number }
  | { readonly kind: 'failure-rate'; readonly maxFailuresPerInterval: number; readonly intervalMs: number; readonly delayMs: number }
  | {
      readonly kind: 'exponential-delay'
      readonly initialBackoffMs: number
      readonly maxBackoffMs: number
      readonly backoffMultiplier: number
      readonly jitterFactor: number
      /** Time without a failure after which the backoff begins anew. */
      readonly resetBackoffThresholdMs: number
      /** Infinity: no limit. */
      readonly attemptsBeforeResetBackoff: number
    }

/** Plain JSON: it stands in the job's fact, so that a takeover goes on counting. Times are Clock.now(). */
export interface RestartState {
  /** Restarts so far (fixed-delay), or since the backoff began anew (exponential-delay). */
  readonly attempts: number
  /** Times of the failures within the interval (failure-rate). */
  readonly failures: readonly number[]
  /** The pause before jitter (exponential-delay). */
  readonly backoffMs: number
  /** When the last pause ends; failures before it belong to the same attempt. */
  readonly restartAtMs: number
}
export const NO_FAILURES: RestartState = { attempts: 0, failures: [], backoffMs: 0, restartAtMs: 0 }

export interface RestartDecision {
  readonly restart: boolean
  readonly delayMs: number
  readonly state: RestartState
}

/** `random` is in [0, 1). */
interface Failure {
  readonly nowMs: number
  readonly random: number
  /** The tasks went with their TaskManager: nothing says that they would fail again at once. */
  readonly lost?: boolean
}

/** What follows from a failure now. */
export function decideRestart(strategy: RestartStrategy, state: RestartState, failure: Failure): RestartDecision {
  const no = { restart: false, delayMs: 0, state }
  const { nowMs } = failure
  const after = (delayMs: number, next: RestartState) => pause(delayMs, failure, next)
  switch (strategy.kind) {
    case 'none':
      return no
    case 'fixed-delay':
      if (state.attempts >= strategy.attempts) return no
      return after(strategy.delayMs, { ...state, attempts: state.attempts + 1 })
    case 'failure-rate': {
      const failures = [...state.failures.filter((at) => at > nowMs - strategy.intervalMs), nowMs].slice(
        -(strategy.maxFailuresPerInterval + 1),
      )
      if (failures.length > strategy.maxFailuresPerInterval) return { ...no, state: { ...state, failures } }
      return after(strategy.delayMs, { ...state, failures })
    }
    case 'exponential-delay':
      return exponential(strategy, state, failure)
  }
}

function exponential(strategy: RestartStrategy & { kind: 'exponential-delay' }, state: RestartState, failure: Failure): RestartDecision {
  const { nowMs, random } = failure
  // Failures within the pause are one: the restart that they ask for is under way.
  if (state.attempts > 0 && nowMs < state.restartAtMs) return { restart: true, delayMs: state.restartAtMs - nowMs, state }
  const healthy = state.attempts === 0 || nowMs - state.restartAtMs >= strategy.resetBackoffThresholdMs
  const attempts = healthy ? 1 : state.attempts + 1
  if (attempts > strategy.attemptsBeforeResetBackoff) return { restart: false, delayMs: 0, state }
  const next = healthy ? strategy.initialBackoffMs : state.backoffMs * strategy.backoffMultiplier
  const backoffMs = Math.min(next, strategy.maxBackoffMs)
  const jitter = (2 * random - 1) * backoffMs * strategy.jitterFactor
  const delayMs = Math.round(Math.min(Math.max(backoffMs + jitter, 0), strategy.maxBackoffMs))
  return pause(delayMs, failure, { ...state, attempts, backoffMs })
}

/** After a loss it is counted from the restart before: processes that die one after the other are waited for, a single one is not. */
function pause(fullMs: number, { nowMs, lost }: Failure, state: RestartState): RestartDecision {
  const delayMs = lost ? Math.min(fullMs, Math.max(0, state.restartAtMs + fullMs - nowMs)) : fullMs
  return { restart: true, delayMs, state: { ...state, restartAtMs: nowMs + delayMs } }
}

/** What a fact or blob of an earlier reign says, where it makes sense. */
export function restartStateOf(value: unknown): RestartState {
  const state = value as Partial<RestartState> | undefined
  if (typeof state?.attempts !== 'number' || !Array.isArray(state.failures)) return NO_FAILURES
  return { ...NO_FAILURES, ...state }
}

/** As Flink's web UI and error messages name it. */
export function describeStrategy(strategy: RestartStrategy): string {
  switch (strategy.kind) {
    case 'none':
      return 'no restart strategy'
    case 'fixed-delay':
      return `fixed-delay, at most ${strategy.attempts} restarts`
    case 'failure-rate':
      return `failure-rate, at most ${strategy.maxFailuresPerInterval} failures in ${strategy.intervalMs} ms`
    case 'exponential-delay':
      return `exponential-delay, at most ${strategy.attemptsBeforeResetBackoff} restarts before the backoff is reset`
  }
}
