import type { Sink } from '#core/functions/sink.js'

/** Lines 'prefix:3> record' (as Flink: the subtask from 1, where there is more than one) on the standard output of the TaskManagers. At least once. */
export function printSink<T>(prefix?: string): Sink<T> {
  return {
    createWriter(ctx) {
      const { indexOfThisSubtask, numberOfParallelSubtasks } = ctx.taskInfo
      const subtask = numberOfParallelSubtasks > 1 ? `${indexOfThisSubtask + 1}` : ''
      const head = [prefix ?? '', subtask].filter((part) => part !== '').join(':')
      const lead = head === '' ? '' : `${head}> `
      return { write: (record) => ctx.print(lead + show(record)), flush: () => {} }
    },
  }
}

function show(record: unknown): string {
  if (typeof record !== 'object' || record === null) return String(record)
  return JSON.stringify(record, (_key, value: unknown) => {
    if (typeof value === 'bigint') return `${value}n`
    if (value instanceof Map) return [...value]
    return value instanceof Set ? [...value] : value
  })
}
