/** What a task needs of the slot worker that it runs in; a thread's or a simulation's. */
import type { Clock } from '#core/clock.js'
import type { Config } from '#core/config/options.js'
import type { BuiltProgram } from '#core/functions/build-phase.js'
import type { Logger } from '#core/logger.js'
import type { ExchangeFactory } from '../exchange/exchange.js'
import type { CreateWindowOperator } from '../operators/operator-factory.js'
import type { FromSlotWorker, JobContext, WorkerTask } from '../slotworker/protocol.js'
import type { ChunkStore, KeyedStateBackend, KeyedStateBackendOptions, MemoryBudget } from '../state/keyed-state-backend.js'
import type { TaskSite } from './slot-sites.js'

export interface TaskEnvironment {
  readonly clock: Clock
  readonly exchange: ExchangeFactory
  readonly chunks: ChunkStore
  readonly memory: MemoryBudget
  readonly logger: Logger
  readonly createKeyedState: (options: KeyedStateBackendOptions) => KeyedStateBackend
  readonly createWindowOperator: CreateWindowOperator
  post(message: FromSlotWorker): void
  /** Where the subtask says what it has entered. */
  siteOf(vertexId: string, subtaskIndex: number): TaskSite
  /** Asks for a turn of the slot's loop. */
  wake(): void
}

/** What a task is made of. */
export interface TaskSpec {
  readonly job: JobContext
  readonly config: Config
  readonly program: BuiltProgram
  readonly task: WorkerTask
}
