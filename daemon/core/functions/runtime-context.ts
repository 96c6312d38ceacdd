import type { Logger } from '../logger.js'
import type { Accumulator } from './accumulator.js'

export interface Counter {
  inc(by?: number): void
}
export interface RuntimeContext {
  readonly jobInfo: { readonly jobId: string; readonly jobName: string; readonly globalParameters: Readonly<Record<string, string>> }
  readonly taskInfo: {
    readonly taskName: string
    readonly indexOfThisSubtask: number
    readonly numberOfParallelSubtasks: number
    readonly maxNumberOfParallelSubtasks: number
    /** 0 for the first try. */
    readonly attemptNumber: number
    /** Unique among all attempts of all jobs: for names of files that no other attempt may touch. */
    readonly attemptId: string
  }
  readonly metrics: { counter(name: string): Counter; gauge(name: string, read: () => number): void }
  readonly logger: Logger
  /** A line for the TaskManager's standard output: the print sink. */
  print(line: string): void
  accumulator<V, R>(accumulator: Accumulator<V, R>): { add(value: V): void }
}
