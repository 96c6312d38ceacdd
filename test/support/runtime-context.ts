import type { RuntimeContext } from '#core/functions/runtime-context.js'
import { silentLogger } from '#core/logger.js'

export interface StubRuntime extends RuntimeContext {
  readonly printed: string[]
}

/** What a function is given, of one subtask of one attempt. */
export function stubRuntime(subtask = 0, parallelism = 1, attemptNumber = 0): StubRuntime {
  const printed: string[] = []
  return {
    printed,
    jobInfo: { jobId: '0123456789abcdef0123456789abcdef', jobName: 'job', globalParameters: {} },
    taskInfo: {
      taskName: 'task',
      indexOfThisSubtask: subtask,
      numberOfParallelSubtasks: parallelism,
      maxNumberOfParallelSubtasks: 128,
      attemptNumber,
      attemptId: `vertex_${subtask}_${attemptNumber}`,
    },
    metrics: { counter: () => ({ inc() {} }), gauge() {} },
    logger: silentLogger,
    accumulator: () => ({ add() {} }),
    print: (line) => printed.push(line),
  }
}
