/** Declared types (`types.row({ … })`): what a codec is made of when it is not inferred from the first records. */
declare const phantom: unique symbol

export interface AnyType {
  readonly kind: string
  readonly isOptional: boolean
}
/** Invariant: a Type<T> both encodes and decodes T. */
export interface Type<in out T> extends AnyType {
  readonly [phantom]?: (value: T) => T
  migratedFrom<Old>(old: Type<Old>, migrate: (old: Old) => T): Type<T>
}
