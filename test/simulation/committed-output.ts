import type { TwoPhaseSink } from '#client/index.js'
import type { Invariants } from './invariants.js'

interface Committable {
  /** Name of the file that was in progress. */
  readonly file: string
  readonly attemptId: string
  readonly checkpointId: number
}

/** What a careless sink does otherwise. */
export interface Carelessness {
  /** False: the name of a file does not hold its attempt. */
  readonly attemptInName?: boolean
  /** False: a file is not synced before its checkpoint is acknowledged. */
  readonly syncs?: boolean
  /** Whether what the attempt had prepared for the checkpoint was thrown away. */
  isRolledBack?(attemptId: string, checkpointId: number): boolean
}
interface File {
  readonly attemptId: string
  lines: string[]
  /** So many of them are on disk. */
  synced: number
}

/** Where a job's commits go: outside of the cluster, as files. A line that comes once too often is seen at its commit. */
export class CommittedOutput {
  /** Files in progress, and closed ones that wait for their commit. */
  readonly #files = new Map<string, File>()
  readonly #committed = new Map<string, readonly string[]>()
  readonly #missing = new Map<string, number>()

  /** `expected`: what the job writes when nothing fails. */
  constructor(
    private readonly jobId: string,
    expected: readonly string[],
    private readonly invariants: Pick<Invariants, 'commits' | 'violated'>,
    private readonly careless: Carelessness = {},
  ) {
    for (const line of expected) this.#missing.set(line, (this.#missing.get(line) ?? 0) + 1)
  }

  #commit({ file, attemptId, checkpointId }: Committable): void {
    if (this.careless.isRolledBack?.(attemptId, checkpointId)) return
    const [jobId = ''] = attemptId.split('_') // It may have been another job that prepared it.
    this.invariants.commits(jobId, checkpointId, `${this.jobId}: ${file}`)
    const lines = this.#files.get(file)?.lines ?? []
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
  /** The host of these attempts is off: what they had not synced is lost. `kept` of so many lines are there by chance. */
  powerFails(isThere: (attemptId: string) => boolean, kept: (lines: number) => number): void {
    for (const [name, file] of this.#files) {
      const unsynced = file.lines.length - file.synced
      if (unsynced === 0 || !isThere(file.attemptId)) continue
      file.lines = file.lines.slice(0, file.synced + kept(unsynced))
      file.synced = file.lines.length
      const committed = this.#committed.get(name)
      if (committed && committed.length > file.lines.length)
        this.invariants.violated(`${this.jobId}: ${name} is committed, and lines are lost`)
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
        const prefix = `${name} ${(this.careless.attemptInName ?? true) ? attemptId : indexOfThisSubtask}`
        let parts = 0
        let open: { readonly name: string; readonly file: File } | undefined
        const create = () => {
          const name = `${prefix} ${parts++}`
          const file: File = { attemptId, lines: [], synced: 0 }
          this.#files.set(name, file)
          return { name, file }
        }
        return {
          write: (line: string) => {
            open ??= create()
            open.file.lines.push(line)
          },
          flush: () => {},
          prepareCommit: (checkpointId: number) => {
            if (!open) return []
            const { name, file } = open
            open = undefined
            if (this.careless.syncs ?? true) file.synced = file.lines.length
            return [{ file: name, attemptId, checkpointId }]
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
