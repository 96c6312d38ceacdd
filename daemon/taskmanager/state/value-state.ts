import type { ValueState, ValueStateSpec } from '#core/state/state.js'
import type { CurrentKey } from './current-key.js'
import type { Entry, EntryTable } from './entry-table.js'
import type { NumberTable } from './number-table.js'
import { retained } from './retain.js'
import { specialize } from './specialize.js'

interface Dependencies<T> {
  readonly spec: ValueStateSpec<unknown>
  readonly table: T
  readonly current: CurrentKey
  readonly retained: (value: unknown) => unknown
}

/** A class of its own for each state. */
export function entryValueState(spec: ValueStateSpec<unknown>, table: EntryTable, current: CurrentKey): ValueState<unknown> {
  return specialize(makeEntryState, { spec, table, current, retained })
}

/** Compiled again from its source: it names nothing but its dependencies. */
function makeEntryState({ spec, table, current, retained }: Dependencies<EntryTable>): ValueState<unknown> {
  const state = new (class {
    #serial = -1
    #entry: Entry | undefined

    get value(): unknown {
      const entry = this.#serial === current.serial ? this.#entry : this.#find()
      return entry === undefined ? spec.initial() : entry.value
    }
    set value(next: unknown) {
      if (next === undefined) {
        this.clear()
        return
      }
      const entry = this.#serial === current.serial ? this.#entry : this.#find()
      if (entry === undefined) this.#entry = table.insert(current.key, current.hash, retained(next))
      else {
        if (entry.epoch !== table.epoch) table.touch(entry)
        entry.value = retained(next)
      }
    }
    edit(): unknown {
      const entry = this.#serial === current.serial ? this.#entry : this.#find()
      if (entry !== undefined) {
        if (entry.epoch !== table.epoch) table.touch(entry)
        return entry.value
      }
      const value = spec.initial()
      if (value !== undefined) this.#entry = table.insert(current.key, current.hash, value)
      return value
    }
    clear(): void {
      const entry = this.#serial === current.serial ? this.#entry : this.#find()
      if (entry === undefined) return
      table.remove(entry)
      this.#entry = undefined
    }
    #find(): Entry | undefined {
      current.check()
      this.#entry = table.find(current.key, current.hash)
      this.#serial = current.serial
      return this.#entry
    }
  })()
  return state as unknown as ValueState<unknown>
}

/** For states whose initial value is a number. */
export function numberValueState(spec: ValueStateSpec<unknown>, table: NumberTable, current: CurrentKey): ValueState<unknown> {
  return specialize(makeNumberState, { spec, table, current, retained })
}

function makeNumberState({ spec, table, current }: Dependencies<NumberTable>): ValueState<unknown> {
  const state = new (class {
    #serial = -1
    #index = -1

    get value(): unknown {
      const index = this.#serial === current.serial ? this.#index : this.#find()
      return index < 0 ? spec.initial() : table.get(index)
    }
    set value(next: unknown) {
      if (next === undefined) {
        this.clear()
        return
      }
      const index = this.#serial === current.serial ? this.#index : this.#find()
      if (index < 0) this.#index = table.insert(current.key, current.hash, next)
      else table.set(index, next)
    }
    edit(): unknown {
      const { value } = this
      this.value = value
      return value
    }
    clear(): void {
      const index = this.#serial === current.serial ? this.#index : this.#find()
      if (index < 0) return
      table.remove(index)
      this.#index = -1
    }
    #find(): number {
      current.check()
      this.#index = table.find(current.key, current.hash)
      this.#serial = current.serial
      return this.#index
    }
  })()
  return state as unknown as ValueState<unknown>
}
