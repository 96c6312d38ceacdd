import type { TwoPhaseSink } from '#client/index.js'
import type { Invariants } from './invariants.js'

interface Committable {
  readonly id: string
  readonly checkpointId: number
  readonly lines: readonly string[]
}

/** Where a job's commits go: outside of the cluster, like files. A line that comes once too often is seen at its commit. */
export class CommittedOutput {
  readonly #committed = new Map<string, readonly string[]>()
  readonly #missing = new Map<string, number>()

  /** `expected`: what the job writes when nothing fails. */
  constructor(
    private readonly jobId: string,
    expected: readonly string[],
    private readonly invariants: Pick<Invariants, 'commits' | 'violated'>,
  ) {
    for (const line of expected) this.#missing.set(line, (this.#missing.get(line) ?? 0) + 1)
  }

  #commit({ id, checkpointId, lines }: Committable): void {
    this.invariants.commits(this.jobId, checkpointId, `${this.jobId}: ${id}`)
    const known = this.#committed.get(id)
    if (known) {
      if (known.join('\n') !== lines.join('\n')) this.invariants.violated(`${this.jobId}: ${id} is committed with another content`)
      return
    }
    this.#committed.set(id, lines)
    for (const line of lines) {
      const missing = this.#missing.get(line) ?? 0
      if (missing === 0) this.invariants.violated(`${this.jobId}: '${line}' is committed once too often, by ${id}`)
      this.#missing.set(line, missing - 1)
    }
  }
  /** What has not been committed. */
  get missing(): readonly string[] {
    return [...this.#missing].filter(([, count]) => count > 0).map(([line]) => line)
  }
  get lines(): readonly string[] {
    return [...this.#committed.values()].flat()
  }

  sink(name: string): TwoPhaseSink<string, Committable> {
    return {
      createWriter: (ctx) => {
        let lines: string[] = []
        return {
          write: (line: string) => void lines.push(line),
          flush: () => {},
          prepareCommit: (checkpointId: number) => {
            if (lines.length === 0) return []
            const committable = { id: `${name} ${ctx.taskInfo.attemptId} ${checkpointId}`, checkpointId, lines }
            lines = []
            return [committable]
          },
        }
      },
      createCommitter: () => ({
        commit: async (requests) => {
          for (const { committable } of requests) this.#commit(committable)
        },
      }),
    }
  }
}
