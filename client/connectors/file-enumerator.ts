import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Duration } from '#core/duration.js'
import { FlottError } from '#core/errors.js'
import type { SplitEnumerator, SplitEnumeratorContext } from '#core/functions/source.js'
import { isGlob, parseGlob } from './glob.js'
import { SplitPool } from './split-pool.js'

/** The lines that begin within [offset, end) of a file; `offset` moves on as they are read. */
export interface FileSplit {
  readonly splitId: string
  readonly path: string
  readonly offset: number
  readonly end: number
  /** False: `offset` may lie within a line, which belongs to the split before. */
  readonly aligned: boolean
}
export interface FileEnumeratorState {
  readonly pending: readonly FileSplit[]
  /** Bounded: the files are known. Otherwise these files have been cut already. */
  readonly listed: boolean
  readonly seen: readonly string[]
}
interface FoundFile {
  readonly path: string
  readonly bytes: number
}
export interface FileEnumeratorOptions {
  /** Absolute; may be a pattern. */
  readonly path: string
  readonly splitBytes: number
  readonly monitorInterval?: Duration
}

/** Lists files and cuts them into ranges; a reader gets one at a time. A file is read once: what is appended after it was listed is not seen. */
export class FileEnumerator implements SplitEnumerator<FileSplit, FileEnumeratorState> {
  readonly #pool: SplitPool<FileSplit>
  readonly #seen: Set<string>
  #listed: boolean
  constructor(
    private readonly ctx: SplitEnumeratorContext<FileSplit>,
    private readonly options: FileEnumeratorOptions,
    restored: FileEnumeratorState | undefined,
  ) {
    this.#listed = restored?.listed ?? false
    this.#seen = new Set(restored?.seen)
    this.#pool = new SplitPool(ctx, restored?.pending ?? [], this.#listed && options.monitorInterval === undefined)
  }
  start(): void {
    const { path, monitorInterval } = this.options
    if (monitorInterval === undefined && this.#listed) return
    this.ctx.callAsync(
      () => listFiles(path, monitorInterval !== undefined),
      (files) => this.#add(files),
      monitorInterval === undefined ? {} : { every: monitorInterval },
    )
  }
  addReader(reader: number): void {
    this.#pool.forget(reader)
  }
  handleSplitRequest(reader: number): void {
    this.#pool.request(reader)
  }
  addSplitsBack(splits: readonly FileSplit[], reader: number): void {
    this.#pool.addBack(splits, reader)
  }
  snapshotState(): FileEnumeratorState {
    // A bounded source never lists again, so that it need not know the names.
    return {
      pending: [...this.#pool.pending],
      listed: this.#listed,
      seen: this.options.monitorInterval === undefined ? [] : [...this.#seen],
    }
  }
  #add(files: readonly FoundFile[]): void {
    this.#listed = true
    const fresh = files.filter(({ path }) => !this.#seen.has(path))
    for (const { path } of fresh) this.#seen.add(path)
    this.#pool.add(fresh.flatMap((file) => cut(file, this.options.splitBytes)))
    if (this.options.monitorInterval === undefined) this.#pool.complete()
  }
}

export function cut({ path, bytes }: FoundFile, splitBytes: number): readonly FileSplit[] {
  const count = Math.ceil(bytes / splitBytes)
  return Array.from({ length: count }, (_, i) => ({
    splitId: `${path}#${i}`,
    path,
    offset: i * splitBytes,
    end: Math.min(bytes, (i + 1) * splitBytes),
    aligned: i === 0,
  }))
}

/** A file, the files of a directory and of those below it (but hidden ones, of either kind), or those that match. In order of their paths. */
export async function listFiles(path: string, mayBeMissing: boolean): Promise<readonly FoundFile[]> {
  const files = isGlob(path) ? await listMatches(path) : await listPath(path, mayBeMissing)
  if (files === undefined || (files.length === 0 && isGlob(path) && !mayBeMissing))
    throw new FlottError('INVALID_ARGUMENT', `no file '${path}' on the JobManager's host`)
  return [...files].sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0))
}
async function listMatches(pattern: string): Promise<readonly FoundFile[]> {
  const { base, matches } = parseGlob(pattern)
  // A pattern that names a dot means hidden files too.
  const files = (await listPath(base, true, /(^|\/)\.[^./]/.test(pattern))) ?? []
  return files.filter((file) => matches.test(file.path))
}
async function listPath(path: string, mayBeMissing: boolean, hidden = false): Promise<readonly FoundFile[] | undefined> {
  try {
    const found = await stat(path)
    if (!found.isDirectory()) return [{ path, bytes: found.size }]
    const names = (await readdir(path)).filter((name) => hidden || !/^[._]/.test(name))
    const lists = await Promise.all(names.map((name) => listPath(join(path, name), true, hidden)))
    return lists.flatMap((list) => list ?? [])
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    return mayBeMissing ? [] : undefined
  }
}
