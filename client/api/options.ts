import type { WatermarkStrategy } from '#core/eventtime/watermarks.js'
import type { FieldOf } from '#core/functions/selector.js'
import type { Type } from '#core/serialization/types.js'
import type { StateDescriptor } from '#core/state/state.js'

/** `type`: what the operator emits; otherwise inferred from the first records. */
export interface OperatorOptions<O> {
  readonly uid?: string
  readonly name?: string
  readonly parallelism?: number
  readonly maxParallelism?: number
  readonly slotSharingGroup?: string
  readonly chaining?: 'start-new' | 'never'
  readonly type?: Type<O>
}
/** A string alone is uid and name. */
export type Options<O = unknown> = string | OperatorOptions<O>
/** A class declares its own state; `state` is for functions and plain objects. */
export type KeyedOptions<O> = string | (OperatorOptions<O> & { readonly state?: readonly StateDescriptor<unknown>[] })
export type SourceOptions<T> = string | (OperatorOptions<T> & { readonly watermarks?: WatermarkStrategy<T, FieldOf<T, number>> })

/** Options as the implementation sees them, whatever the operator emits. */
export type AnyOptions =
  | string
  | (OperatorOptions<never> & { readonly state?: readonly StateDescriptor<unknown>[]; readonly watermarks?: WatermarkStrategy<never> })
  | undefined
export type OptionsObject = Exclude<AnyOptions, string | undefined>

export function optionsObject(options: AnyOptions): OptionsObject {
  return options === undefined ? {} : typeof options === 'string' ? { uid: options } : options
}
