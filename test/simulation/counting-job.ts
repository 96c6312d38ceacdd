import { generatorSource, StreamExecutionEnvironment, type TwoPhaseSink } from '#client/index.js'

/** Where the sink's commits go: outside of the cluster, like files. */
export class CommittedOutput {
  readonly #byCommittable = new Map<string, readonly string[]>()
  commit(id: string, lines: readonly string[]): void {
    this.#byCommittable.set(id, lines)
  }
  get lines(): readonly string[] {
    return [...this.#byCommittable.values()].flat()
  }
}

interface Committable {
  readonly id: string
  readonly lines: readonly string[]
}

function committingSink(output: CommittedOutput): TwoPhaseSink<string, Committable> {
  return {
    createWriter: (ctx) => {
      let lines: string[] = []
      return {
        write: (line: string) => void lines.push(line),
        flush: () => {},
        prepareCommit: (checkpointId: number) => {
          if (lines.length === 0) return []
          const committable = { id: `${ctx.taskInfo.attemptId} ${checkpointId}`, lines }
          lines = []
          return [committable]
        },
      }
    },
    createCommitter: () => ({
      async commit(requests) {
        for (const { committable } of requests) output.commit(committable.id, committable.lines)
      },
    }),
  }
}

export interface CountingJob {
  readonly records: number
  readonly keys: number
  readonly ratePerSecond: number
}

/** Numbers the records of each key: 'key n' for n from 1 on, each exactly once. */
export function countingProgram(
  job: CountingJob,
  output: CommittedOutput,
  config: Readonly<Record<string, string | number>>,
): () => unknown {
  return async () => {
    const env = StreamExecutionEnvironment.getExecutionEnvironment(config)
    const { keys, records, ratePerSecond } = job
    env
      .fromSource(
        generatorSource((index) => index + 1, { count: records, ratePerSecond }),
        { uid: 'numbers' },
      )
      .map((n) => ({ key: `k${n % keys}`, n: 1 }))
      .keyBy('key')
      .sum('n', 'counts')
      .map(({ key, n }) => `${key} ${n}`)
      .sinkTo(committingSink(output), 'sink')
    await env.execute('counting')
  }
}

export function expectedLines({ records, keys }: CountingJob): readonly string[] {
  const counts = new Map<string, number>()
  return Array.from({ length: records }, (_, i) => {
    const key = `k${(i + 1) % keys}`
    const count = (counts.get(key) ?? 0) + 1
    counts.set(key, count)
    return `${key} ${count}`
  }).sort()
}
