import type { Clock } from '#core/clock.js'
import { FlottError } from '#core/errors.js'
import type { Window } from '#core/eventtime/windows.js'
import type { TimerService, WindowContext } from '#core/functions/functions.js'
import type { OutputTag } from '#core/functions/output-tag.js'
import type { RuntimeContext } from '#core/functions/runtime-context.js'
import type { StateDescriptor } from '#core/state/state.js'
import type { KeyedStateBackend } from '../state/keyed-state-backend.js'
import type { Output } from './operator.js'
import type { CallState } from './process-context.js'

/** The one context object of a window operator; `timestamp` is the window's maxTimestamp, which its results carry. */
export class OperatorWindowContext implements WindowContext<unknown, Window> {
  window!: Window
  readonly timerService: TimerService
  readonly #states = new Map<string, unknown>()

  constructor(
    private readonly call: CallState,
    private readonly out: Output,
    readonly runtime: RuntimeContext,
    clock: Clock,
    private readonly backend: KeyedStateBackend,
    private readonly isKeyed: boolean,
    declared: readonly StateDescriptor<unknown>[],
  ) {
    for (const descriptor of declared) this.#states.set(descriptor.name, backend.state(descriptor))
    this.timerService = {
      get currentProcessingTime() {
        return clock.now()
      },
      get currentWatermark() {
        return call.watermark
      },
    }
  }
  get currentKey(): unknown {
    this.call.check('the context')
    return this.isKeyed ? this.backend.currentKey : undefined
  }
  get timestamp(): number {
    this.call.check('the context')
    return this.call.timestamp
  }
  output<X>(tag: OutputTag<X>, record: NoInfer<X>): void {
    this.call.check('the context')
    this.out.side(tag.id, record, this.call.timestamp)
  }
  getState<S>(state: StateDescriptor<S>): S {
    this.call.check('the context')
    const handle = this.#states.get(state.name)
    if (handle === undefined) throw new FlottError('STATE_NOT_DECLARED', `state '${state.name}' is not declared by the window function`)
    return handle as S
  }
}
