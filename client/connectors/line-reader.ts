import { closeSync, openSync, readSync } from 'node:fs'
import type { FileSplit } from './file-enumerator.js'

const BLOCK_BYTES = 256 * 1024
const LINE_BYTES_MAX = 64 * 1024 * 1024
const NEWLINE = 10

/**
 * The lines of one split, a block at a time. A line belongs to the split in which it begins, so that the last one is read beyond the
 * end, and a split that begins within a line skips to the next. Offsets are found by counting line ends in the block, since a decoded
 * line does not tell how many bytes it was.
 */
export class LineReader {
  readonly #fd: number
  #block: Buffer = Buffer.allocUnsafe(BLOCK_BYTES)
  /** File offset of the block's first line. */
  #offset: number
  /** Lines of the block, raw, and the next of them. */
  #lines: string[] = []
  #next = 0
  /** Bytes that these lines take, with their ends. */
  #bytes = 0
  #aligned: boolean

  constructor(private readonly split: FileSplit) {
    this.#fd = openSync(split.path, 'r')
    this.#offset = split.offset
    this.#aligned = split.aligned
  }

  /** At most `most` lines into `take`; false when there are no more. Blocks, but for one block at most. */
  read(most: number, take: (line: string) => void): boolean {
    if (this.#next === this.#lines.length && !this.#nextBlock()) return false
    const lines = this.#lines
    const end = Math.min(lines.length, this.#next + most)
    for (let i = this.#next; i < end; i++) {
      const line = lines[i]!
      take(line.charCodeAt(line.length - 1) === 13 ? line.slice(0, -1) : line)
    }
    this.#next = end
    return true
  }

  /** The rest of the split. */
  position(): FileSplit {
    return { ...this.split, offset: this.#offset + this.#bytesOf(this.#next), aligned: this.#aligned }
  }
  close(): void {
    closeSync(this.#fd)
  }

  #bytesOf(lineCount: number): number {
    if (lineCount === this.#lines.length) return this.#bytes
    let at = 0
    for (let i = 0; i < lineCount; i++) at = this.#block.indexOf(NEWLINE, at) + 1
    return at
  }

  #nextBlock(): boolean {
    this.#offset += this.#bytes
    this.#bytes = 0
    this.#lines = []
    this.#next = 0
    if (!this.#aligned) this.#align()
    if (this.#offset >= this.split.end) return false
    const filled = this.#fill()
    if (filled === 0) throw new Error(`${this.split.path} is shorter than when it was listed: it ends before byte ${this.split.end}`)
    this.#bytes = filled
    const withEnd = this.#block[filled - 1] === NEWLINE
    this.#lines = this.#block.toString('utf8', 0, withEnd ? filled - 1 : filled).split('\n')
    return true
  }

  /** Reads whole lines into the block; returns how many bytes they take. Grows the block for a line that does not fit. */
  #fill(): number {
    for (let have = 0; ; ) {
      const read = readSync(this.#fd, this.#block, have, this.#block.length - have, this.#offset + have)
      have += read
      // The line that holds the last byte of the split is its last.
      const last = this.split.end - 1 - this.#offset
      const end = have > last ? this.#block.subarray(0, have).indexOf(NEWLINE, last) : this.#block.subarray(0, have).lastIndexOf(NEWLINE)
      if (end >= 0) return end + 1
      if (have > last && this.#lastCompleteBefore(last, have) > 0 && have === this.#block.length)
        return this.#lastCompleteBefore(last, have)
      if (read === 0) return have // The end of the file ends its last line.
      if (have === this.#block.length) this.#grow()
    }
  }
  /** Where the split's last line begins: what is before it can be given out while that line is too long for the block. */
  #lastCompleteBefore(last: number, have: number): number {
    return this.#block.subarray(0, Math.min(last, have)).lastIndexOf(NEWLINE) + 1
  }
  #grow(): void {
    if (this.#block.length >= LINE_BYTES_MAX) throw new Error(`${this.split.path}: the line at byte ${this.#offset} is longer than 64 MiB`)
    const larger = Buffer.allocUnsafe(this.#block.length * 2)
    this.#block.copy(larger)
    this.#block = larger
  }

  /** To the begin of the first line at or behind the offset. The byte before it tells whether it is one already. */
  #align(): void {
    this.#aligned = true
    for (let at = this.#offset - 1; ; ) {
      const read = readSync(this.#fd, this.#block, 0, this.#block.length, at)
      const found = this.#block.subarray(0, read).indexOf(NEWLINE)
      if (found >= 0) {
        this.#offset = at + found + 1
        return
      }
      at += read
      if (read === 0 || at >= this.split.end) {
        this.#offset = this.split.end // All of it is within a line of the split before.
        return
      }
    }
  }
}
