import test from 'ava'
import { configOf } from '#core/config/resolve-config.js'
import { jobMasterSettings } from '#jobmanager/jobmaster/job-master-settings.js'
import {
  decideRestart,
  NO_FAILURES,
  type RestartState,
  type RestartStrategy,
  restartStateOf,
} from '#jobmanager/jobmaster/scheduler/restart-strategy.js'

/** Failures at these times: the pause before each restart, or 'fail'. */
function history(strategy: RestartStrategy, times: readonly number[], random = 0.5): (number | 'fail')[] {
  let state: RestartState = NO_FAILURES
  return times.map((nowMs) => {
    const decision = decideRestart(strategy, state, { nowMs, random })
    state = JSON.parse(JSON.stringify(decision.state)) as RestartState // As it comes back from the fact.
    return decision.restart ? decision.delayMs : 'fail'
  })
}
const exponential = {
  kind: 'exponential-delay',
  initialBackoffMs: 1_000,
  maxBackoffMs: 5_000,
  backoffMultiplier: 2,
  jitterFactor: 0.1,
  resetBackoffThresholdMs: 60_000,
  attemptsBeforeResetBackoff: Number.POSITIVE_INFINITY,
} as const

test('none', (t) => t.deepEqual(history({ kind: 'none' }, [1]), ['fail']))

test('fixed-delay gives up after its attempts', (t) => {
  t.deepEqual(history({ kind: 'fixed-delay', attempts: 2, delayMs: 10 }, [1, 50, 1_000_000]), [10, 10, 'fail'])
})

test('failure-rate counts within the interval only', (t) => {
  const strategy = { kind: 'failure-rate', maxFailuresPerInterval: 2, intervalMs: 1_000, delayMs: 10 } as const
  t.deepEqual(history(strategy, [0, 500, 1_100, 1_200]), [10, 10, 10, 'fail'])
  t.deepEqual(history(strategy, [0, 1_000, 2_000, 3_000]), [10, 10, 10, 10])
})

test('exponential-delay grows to its maximum and begins anew after a healthy time', (t) => {
  t.deepEqual(history(exponential, [0, 2_000, 5_000, 12_000, 20_000, 90_000]), [1_000, 2_000, 4_000, 5_000, 5_000, 1_000])
})

test('exponential-delay takes failures within the pause for one', (t) => {
  t.deepEqual(history(exponential, [0, 400, 1_500]), [1_000, 600, 2_000])
  t.deepEqual(history({ ...exponential, attemptsBeforeResetBackoff: 1 }, [0, 400, 1_500]), [1_000, 600, 'fail'])
})

test('a lost TaskManager is waited for only where another was lost just before', (t) => {
  const fixed = { kind: 'fixed-delay', attempts: 9, delayMs: 1_000 } as const
  let state = NO_FAILURES
  const delays = [5_000, 5_400, 6_000, 6_100, 90_000].map((nowMs) => {
    const decision = decideRestart(fixed, state, { nowMs, random: 0.5, lost: true })
    state = decision.state
    return decision.delayMs
  })
  t.deepEqual(delays, [0, 600, 1_000, 1_000, 0])
  t.is(state.attempts, 5)
  const { delayMs, state: after } = decideRestart(exponential, NO_FAILURES, { nowMs: 5_000, random: 0.5, lost: true })
  t.deepEqual([delayMs, after.attempts, after.backoffMs], [0, 1, 1_000])
  t.is(decideRestart(exponential, after, { nowMs: 5_500, random: 0.5, lost: true }).delayMs, 1_500)
})

test('jitter stays within its share', (t) => {
  t.deepEqual(history(exponential, [0], 0), [900])
  t.deepEqual(history(exponential, [0], 1), [1_100])
})

test('the strategy follows the configuration', (t) => {
  const strategy = (settings: Record<string, string>) => jobMasterSettings(configOf(settings).config).restartStrategy
  t.deepEqual(strategy({}), { kind: 'none' })
  t.like(strategy({ 'execution.checkpointing.interval': '1 s' }), { kind: 'exponential-delay', maxBackoffMs: 60_000 })
  t.deepEqual(strategy({ 'restart-strategy.type': 'fixed-delay' }), { kind: 'fixed-delay', attempts: 1, delayMs: 1_000 })
  t.like(strategy({ 'restart-strategy.type': 'failure-rate' }), { maxFailuresPerInterval: 1, intervalMs: 60_000, delayMs: 1_000 })
})

test('what a fact holds is used where it makes sense', (t) => {
  t.is(restartStateOf(undefined), NO_FAILURES)
  t.is(restartStateOf({ attempts: 'x' }), NO_FAILURES)
  t.deepEqual(restartStateOf({ attempts: 2, failures: [1], backoffMs: 3, restartAtMs: 4 }), {
    attempts: 2,
    failures: [1],
    backoffMs: 3,
    restartAtMs: 4,
  })
})
