import type { TwoPhaseSink } from '#client/index.js'
import type { Invariants } from './invariants.js'

interface Committable {
  /** Name of the file that was in progress. */
  readonly file: string
  readonly checkpointId: number
}

/** Where a job's commits go: outside of the cluster, as files. A line that comes once too often is seen at its commit. */
export class CommittedOutput {
  /** Files in progress, and closed ones that wait for their commit. */
  readonly #files = new Map<string, string[]>()
  readonly #committed = new Map<string, readonly string[]>()
  readonly #missing = new Map<string, number>()

  /** `expected`: what the job writes when nothing fails. */
  constructor(
    private readonly jobId: string,
    expected: readonly string[],
    private readonly invariants: Pick<Invariants, 'commits' | 'violated'>,
    /** False in a careless sink. */
    private readonly options: { readonly attemptInName: boolean } = { attemptInName: true },
  ) {
    for (const line of expected) this.#missing.set(line, (this.#missing.get(line) ?? 0) + 1)
  }

  #commit({ file, checkpointId }: Committable): void {
    this.invariants.commits(this.jobId, checkpointId, `${this.jobId}: ${file}`)
    const lines = this.#files.get(file) ?? []
    const known = this.#committed.get(file)
    if (known) {
      if (known.join('\n') !== lines.join('\n')) this.invariants.violated(`${this.jobId}: ${file} is committed with another content`)
      return
    }
    this.#committed.set(file, [...lines])
    for (const line of lines) {
      const missing = this.#missing.get(line) ?? 0
      if (missing === 0) this.invariants.violated(`${this.jobId}: '${line}' is committed once too often, by ${file}`)
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
        const { attemptId, indexOfThisSubtask } = ctx.taskInfo
        const prefix = `${name} ${this.options.attemptInName ? attemptId : indexOfThisSubtask}`
        let parts = 0
        let open: { readonly file: string; readonly lines: string[] } | undefined
        const create = () => {
          const file = `${prefix} ${parts++}`
          const lines: string[] = []
          this.#files.set(file, lines)
          return { file, lines }
        }
        return {
          write: (line: string) => {
            open ??= create()
            open.lines.push(line)
          },
          flush: () => {},
          prepareCommit: (checkpointId: number) => {
            if (!open) return []
            const { file } = open
            open = undefined
            return [{ file, checkpointId }]
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
