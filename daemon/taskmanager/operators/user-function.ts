/** The life of a user function that has one: its states bound, `open`, `snapshotState`, `close`. */

import { FlottError } from '#core/errors.js'
import { functionBindingOf } from '#core/functions/function-binding.js'
import type { RichFunction } from '#core/functions/functions.js'
import type { KeyedStateBackend } from '../state/keyed-state-backend.js'
import { NOTHING } from './abstract-operator.js'
import type { OperatorContext, OperatorSnapshotResult } from './operator.js'
import { OperatorState, restoredValues } from './operator-state.js'

export class UserFunction {
  readonly #state = new OperatorState()
  readonly #f: Partial<RichFunction>
  #opened = false

  constructor(
    private readonly ctx: OperatorContext,
    f: object,
  ) {
    this.#f = f as Partial<RichFunction>
  }
  async open(backend?: KeyedStateBackend): Promise<void> {
    const binding = functionBindingOf(this.#f)
    this.#state.restore(this.ctx, await restoredValues(this.ctx), binding?.operatorStates ?? [])
    if (binding)
      binding.bind({
        keyed: (descriptor) => {
          if (!backend) throw new FlottError('STATE_NOT_DECLARED', `state '${descriptor.name}' needs a keyed stream`)
          return backend.state(descriptor)
        },
        operator: (declared) => this.#state.list(declared),
      })
    this.#opened = true
    this.ctx.entering()
    await this.#f.open?.(this.ctx.runtime)
  }
  /** Lets the function write to its operator state, then fixes that state. */
  snapshot(checkpointId: number): OperatorSnapshotResult {
    this.#f.snapshotState?.(checkpointId)
    return this.#state.isEmpty ? NOTHING : this.#state.snapshot()
  }
  notifyCheckpointComplete(checkpointId: number): void {
    this.#f.notifyCheckpointComplete?.(checkpointId)
  }
  async close(): Promise<void> {
    if (!this.#opened) return
    this.#opened = false
    await this.#f.close?.()
  }
}
