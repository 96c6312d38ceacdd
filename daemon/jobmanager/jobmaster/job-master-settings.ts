import type { Config } from '#core/config/options.js'
import type { CheckpointSettings } from './checkpoint/checkpoint-settings.js'
import type { RestartStrategy } from './scheduler/restart-strategy.js'

/** What a new job starts from. */
export interface StateRecovery {
  /** As it was given; '' for nothing. */
  readonly path: string
  readonly allowNonRestoredState: boolean
}

export interface JobMasterSettings {
  readonly restartStrategy: RestartStrategy
  /** An interval of 0: no checkpoints. */
  readonly checkpoints: CheckpointSettings
  readonly stateRecovery: StateRecovery
  readonly slotRequestTimeoutMs: number
  /** How long a takeover waits for a TaskManager of the deployment before. */
  readonly taskManagerTimeoutMs: number
}

/** From the cluster's configuration with the job's keys over it. */
export function jobMasterSettings(config: Config): JobMasterSettings {
  const checkpointing = config['execution.checkpointing.interval'] > 0
  return {
    restartStrategy: restartStrategyOf(config, checkpointing),
    checkpoints: {
      intervalMs: config['execution.checkpointing.interval'],
      timeoutMs: config['execution.checkpointing.timeout'],
      minPauseMs: config['execution.checkpointing.min-pause'],
      tolerableFailures: config['execution.checkpointing.tolerable-failed-checkpoints'],
      maxRetained: config['execution.checkpointing.num-retained'],
      retention: config['execution.checkpointing.externalized-checkpoint-retention'],
      maxConcurrent: 1,
      mode: config['execution.checkpointing.mode'] === 'AT_LEAST_ONCE' ? 'at-least-once' : 'exactly-once',
    },
    stateRecovery: {
      path: config['execution.state-recovery.path'],
      allowNonRestoredState: config['execution.state-recovery.ignore-unclaimed-state'],
    },
    slotRequestTimeoutMs: config['slot.request.timeout'],
    taskManagerTimeoutMs: config['heartbeat.timeout'],
  }
}

function restartStrategyOf(config: Config, checkpointing: boolean): RestartStrategy {
  switch (config['restart-strategy.type'] || (checkpointing ? 'exponential-delay' : 'none')) {
    case 'fixed-delay':
      return {
        kind: 'fixed-delay',
        attempts: config['restart-strategy.fixed-delay.attempts'],
        delayMs: config['restart-strategy.fixed-delay.delay'],
      }
    case 'failure-rate':
      return {
        kind: 'failure-rate',
        maxFailuresPerInterval: config['restart-strategy.failure-rate.max-failures-per-interval'],
        intervalMs: config['restart-strategy.failure-rate.failure-rate-interval'],
        delayMs: config['restart-strategy.failure-rate.delay'],
      }
    case 'exponential-delay': {
      const attempts = config['restart-strategy.exponential-delay.attempts-before-reset-backoff']
      return {
        kind: 'exponential-delay',
        initialBackoffMs: config['restart-strategy.exponential-delay.initial-backoff'],
        maxBackoffMs: config['restart-strategy.exponential-delay.max-backoff'],
        backoffMultiplier: config['restart-strategy.exponential-delay.backoff-multiplier'],
        jitterFactor: config['restart-strategy.exponential-delay.jitter-factor'],
        resetBackoffThresholdMs: config['restart-strategy.exponential-delay.reset-backoff-threshold'],
        attemptsBeforeResetBackoff: attempts < 0 ? Number.POSITIVE_INFINITY : attempts,
      }
    }
    default:
      return { kind: 'none' }
  }
}
