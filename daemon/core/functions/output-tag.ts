import type { Type } from '../serialization/types.js'

declare const phantom: unique symbol

/** Names a side output; the tag carries the record's type. */
export interface OutputTag<in X> {
  readonly id: string
  readonly type?: Type<never>
  readonly [phantom]?: (record: X) => void
}
export function outputTag<X>(id: string, type?: Type<X>): OutputTag<X> {
  return Object.freeze({ id, ...(type === undefined ? {} : { type: type as unknown as Type<never> }) })
}
