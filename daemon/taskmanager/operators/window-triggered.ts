/**
 * Windows of any assigner with any trigger: the contents of all windows of a key in one map state, timers of the key with the window as
 * their namespace. Windows are time windows, or known by their maxTimestamp alone.
 */

import { FlottError } from '#core/errors.js'
import { timeWindow } from '#core/eventtime/window-assigners.js'
import type { TimeWindow, Trigger, TriggerContext, TriggerResult, Window } from '#core/eventtime/windows.js'
import type { Key, TimeDomain } from '#core/functions/functions.js'
import { type MapState, mapState, type StateDescriptor, type ValueStateSpec } from '#core/state/state.js'
import type { OperatorContext } from './operator.js'
import { enterWindow } from './window-function.js'
import { WindowOperator } from './window-operator.js'

const contentsState = mapState<string, unknown>('window-contents')
const triggerState = mapState<string, unknown>('window-triggers')

export function windowId(window: Window): string {
  const { start, end, maxTimestamp } = window as TimeWindow
  return start === undefined ? `${maxTimestamp}` : `${start} ${end}`
}
export function windowOfId(id: string): Window {
  const [start, end] = id.split(' ').map(Number)
  return end === undefined ? { maxTimestamp: start! } : timeWindow(start!, end)
}

export function createTriggeredWindowOperator(ctx: OperatorContext): WindowOperator {
  return new TriggeredWindowOperator(ctx)
}

class TriggeredWindowOperator extends WindowOperator {
  readonly #trigger: Trigger<unknown, Window>
  #contents!: MapState<string, unknown>
  #triggerContext!: OperatorTriggerContext

  constructor(ctx: OperatorContext) {
    super(ctx)
    const { assigner, options } = this.definition
    this.#trigger = (options.trigger ?? assigner.defaultTrigger) as Trigger<unknown, Window>
  }
  get firesAgain(): boolean {
    return true
  }
  protected opened(): void {
    this.#contents = this.backend.state(contentsState)
    this.#triggerContext = new OperatorTriggerContext(this.ctx, this.backend, this.call, this.backend.state(triggerState))
  }
  protected add(record: unknown, timestamp: number, key: Key, hash: number): void {
    this.backend.setCurrentKey(key, hash)
    const assign = this.definition.assigner.assignWindows as (record: unknown, timestamp: number) => readonly Window[]
    let isLate = true
    for (const window of assign(record, timestamp)) {
      if (this.#cleanupTime(window) <= this.call.watermark && this.isEventTime) continue
      isLate = false
      this.#addTo(window, record, timestamp)
    }
    if (isLate) this.dropLate(record, timestamp)
  }
  #addTo(window: Window, record: unknown, timestamp: number): void {
    const id = windowId(window)
    const contents = this.#contents.edit(id)
    this.#contents.set(id, contents === undefined ? this.contents.first(record) : this.contents.add(contents, record))
    this.#triggerContext.id = id
    this.#act(this.#trigger.onElement(record, timestamp, window, this.#triggerContext), window, id)
    const cleanup = this.#cleanupTime(window)
    if (cleanup >= Number.MAX_SAFE_INTEGER) return // It lasts.
    if (this.isEventTime) this.backend.timers.registerEventTime(cleanup, id)
    else this.backend.timers.registerProcessingTime(cleanup, id)
  }
  override processWatermark(timestamp: number): void {
    this.call.watermark = timestamp
    this.backend.timers.advanceWatermark(timestamp, this.#onTimer)
  }
  override processProcessingTime(now: number): void {
    // A window's last millisecond must have passed: records may still come in it.
    this.backend.timers.advanceProcessingTime(now - 1, this.#onTimer)
  }
  override get nextProcessingTime(): number | undefined {
    const next = this.backend.timers.nextProcessingTime
    return next === undefined ? undefined : next + 1
  }
  readonly #onTimer = (timestamp: number, domain: TimeDomain, id: string): void => {
    const window = windowOfId(id)
    this.#triggerContext.id = id
    this.#act(this.#trigger.onTimer(timestamp, domain, window, this.#triggerContext), window, id)
    const isOwnDomain = this.isEventTime === (domain === 'event-time')
    if (isOwnDomain && timestamp === this.#cleanupTime(window)) this.#cleanUp(window, id)
  }
  #act(result: TriggerResult, window: Window, id: string): void {
    if (result === 'fire' || result === 'fire-and-purge') {
      const contents = this.#contents.get(id)
      if (contents !== undefined) {
        enterWindow(this, window)
        this.emit(contents)
      }
    }
    if (result === 'purge' || result === 'fire-and-purge') this.#contents.delete(id)
  }
  #cleanUp(window: Window, id: string): void {
    this.#contents.delete(id)
    this.#trigger.clear?.(window, this.#triggerContext)
    this.#triggerContext.clearStates()
  }
  #cleanupTime(window: Window): number {
    return Math.min(window.maxTimestamp + this.allowedLatenessMs, Number.MAX_SAFE_INTEGER)
  }
}

/** For the current key and window. */
class OperatorTriggerContext implements TriggerContext {
  id = ''
  readonly #handles = new Map<string, TriggerValueState>()
  constructor(
    private readonly ctx: OperatorContext,
    private readonly backend: WindowOperator['backend'],
    private readonly call: { readonly watermark: number },
    private readonly states: MapState<string, unknown>,
  ) {}
  get currentProcessingTime(): number {
    return this.ctx.clock.now()
  }
  get currentWatermark(): number {
    return this.call.watermark
  }
  registerEventTimeTimer(timestamp: number): void {
    this.backend.timers.registerEventTime(timestamp, this.id)
  }
  deleteEventTimeTimer(timestamp: number): void {
    this.backend.timers.deleteEventTime(timestamp, this.id)
  }
  registerProcessingTimeTimer(timestamp: number): void {
    this.backend.timers.registerProcessingTime(timestamp, this.id)
  }
  deleteProcessingTimeTimer(timestamp: number): void {
    this.backend.timers.deleteProcessingTime(timestamp, this.id)
  }
  getState<S>(descriptor: StateDescriptor<S>): S {
    let handle = this.#handles.get(descriptor.name)
    if (handle === undefined) {
      if (descriptor.kind !== 'value')
        throw new FlottError('INVALID_ARGUMENT', `trigger state '${descriptor.name}': a trigger keeps value states only`)
      handle = new TriggerValueState(this, this.states, descriptor as unknown as ValueStateSpec<unknown>)
      this.#handles.set(descriptor.name, handle)
    }
    return handle as unknown as S
  }
  clearStates(): void {
    const prefix = `${this.id}|`
    for (const [name] of this.states) if (name.startsWith(prefix)) this.states.delete(name)
  }
}

class TriggerValueState {
  constructor(
    private readonly owner: { readonly id: string },
    private readonly states: MapState<string, unknown>,
    private readonly spec: ValueStateSpec<unknown>,
  ) {}
  get value(): unknown {
    return this.states.get(this.#name) ?? this.spec.initial()
  }
  set value(next: unknown) {
    if (next === undefined) this.clear()
    else this.states.set(this.#name, next)
  }
  edit(): unknown {
    if (!this.states.has(this.#name)) this.value = this.spec.initial()
    return this.states.edit(this.#name)
  }
  clear(): void {
    this.states.delete(this.#name)
  }
  get #name(): string {
    return `${this.owner.id}|${this.spec.name}`
  }
}
