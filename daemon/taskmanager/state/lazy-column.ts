/**
 * A column in its bytes, of which one item costs little more than itself: numbers lie where their index says, texts behind the sum of the
 * lengths before them, objects in a column for each name. Only a stream of values (columns.ts) can not be entered in the middle: of that
 * one item costs all.
 */
import { ColumnReader } from './columns.js'

export class LazyColumn {
  #all: readonly unknown[] | undefined
  #itemAt: ((index: number) => unknown) | undefined

  constructor(
    private readonly bytes: Buffer,
    private readonly count: number,
  ) {}
  at(index: number): unknown {
    if (this.#all !== undefined) return this.#all[index]
    this.#itemAt ??= new ColumnReader(this.bytes).readItems(this.count) ?? ((i) => this.all()[i])
    return this.#itemAt(index)
  }
  /** Decodes the others, too; what was decoded is kept. */
  all(): readonly unknown[] {
    this.#all ??= new ColumnReader(this.bytes).read(this.count)
    return this.#all
  }
}
