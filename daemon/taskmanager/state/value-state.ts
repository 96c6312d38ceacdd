import type { ValueState, ValueStateSpec } from '#core/state/state.js'
import type { CurrentKey } from './current-key.js'
import type { Entry, EntryTable } from './entry-table.js'
import type { NumberTable } from './number-table.js'
import { retained } from './retain.js'
import { specialize } from './specialize.js'

/** For the engine's own operators. */
export interface EntryValueState extends ValueState<unknown> {
  /** As setting the value, for a successor made of the value before and numbers: what it holds on to is the state's own already. */
  replace(next: unknown): void
}
type StateClass<T> = new (spec: ValueStateSpec<unknown>, table: T, current: CurrentKey) => object
const DEPENDENCIES = { retained }

export function entryValueState(
  stateId: string,
  spec: ValueStateSpec<unknown>,
  table: EntryTable,
  current: CurrentKey,
): ValueState<unknown> {
  const StateClass = specialize(stateId, makeEntryStateClass, DEPENDENCIES)
  return new StateClass(spec, table, current) as ValueState<unknown>
}

/** For states whose initial value is a number. */
export function numberValueState(
  stateId: string,
  spec: ValueStateSpec<unknown>,
  table: NumberTable,
  current: CurrentKey,
): ValueState<unknown> {
  const StateClass = specialize(stateId, makeNumberStateClass, DEPENDENCIES)
  return new StateClass(spec, table, current) as ValueState<unknown>
}

/** Compiled again from its source: it names nothing but its dependencies. */
function makeEntryStateClass({ retained }: typeof DEPENDENCIES): StateClass<EntryTable> {
  return class {
    readonly #spec: ValueStateSpec<unknown>
    readonly #table: EntryTable
    readonly #current: CurrentKey
    #serial = -1
    #entry: Entry | undefined

    constructor(spec: ValueStateSpec<unknown>, table: EntryTable, current: CurrentKey) {
      this.#spec = spec
      this.#table = table
      this.#current = current
    }
    get value(): unknown {
      const entry = this.#serial === this.#current.serial ? this.#entry : this.#find()
      return entry === undefined ? this.#spec.initial() : entry.value
    }
    set value(next: unknown) {
      if (next === undefined) {
        this.clear()
        return
      }
      const entry = this.#serial === this.#current.serial ? this.#entry : this.#find()
      if (entry === undefined) this.#entry = this.#table.insert(this.#current.key, this.#current.hash, retained(next))
      else {
        if (entry.epoch !== this.#table.epoch) this.#table.touch(entry)
        entry.value = retained(next)
      }
    }
    replace(next: unknown): void {
      const entry = this.#serial === this.#current.serial ? this.#entry : this.#find()
      if (entry === undefined) this.value = next
      else {
        if (entry.epoch !== this.#table.epoch) this.#table.touch(entry)
        entry.value = next
      }
    }
    edit(): unknown {
      const entry = this.#serial === this.#current.serial ? this.#entry : this.#find()
      if (entry !== undefined) {
        if (entry.epoch !== this.#table.epoch) this.#table.touch(entry)
        return entry.value
      }
      const value = this.#spec.initial()
      if (value !== undefined) this.#entry = this.#table.insert(this.#current.key, this.#current.hash, value)
      return value
    }
    clear(): void {
      const entry = this.#serial === this.#current.serial ? this.#entry : this.#find()
      if (entry === undefined) return
      this.#table.remove(entry)
      this.#entry = undefined
    }
    #find(): Entry | undefined {
      const current = this.#current
      if (current.serial === 0) current.check()
      this.#entry = this.#table.find(current.key, current.hash)
      this.#serial = current.serial
      return this.#entry
    }
  }
}

/** Compiled again from its source, too. */
function makeNumberStateClass(_dependencies: typeof DEPENDENCIES): StateClass<NumberTable> {
  return class {
    readonly #spec: ValueStateSpec<unknown>
    readonly #table: NumberTable
    readonly #current: CurrentKey
    #serial = -1
    #index = -1

    constructor(spec: ValueStateSpec<unknown>, table: NumberTable, current: CurrentKey) {
      this.#spec = spec
      this.#table = table
      this.#current = current
    }
    get value(): unknown {
      const index = this.#serial === this.#current.serial ? this.#index : this.#find()
      return index < 0 ? this.#spec.initial() : this.#table.get(index)
    }
    set value(next: unknown) {
      if (next === undefined) {
        this.clear()
        return
      }
      const index = this.#serial === this.#current.serial ? this.#index : this.#find()
      if (index < 0) this.#index = this.#table.insert(this.#current.key, this.#current.hash, next)
      else this.#table.set(index, next)
    }
    /** A number is not changed in place, and what is no number here is rare enough to be written back. */
    edit(): unknown {
      const { value } = this
      this.value = value
      return value
    }
    clear(): void {
      const index = this.#serial === this.#current.serial ? this.#index : this.#find()
      if (index < 0) return
      this.#table.remove(index)
      this.#index = -1
    }
    #find(): number {
      const current = this.#current
      if (current.serial === 0) current.check()
      this.#index = this.#table.find(current.key, current.hash)
      this.#serial = current.serial
      return this.#index
    }
  }
}
