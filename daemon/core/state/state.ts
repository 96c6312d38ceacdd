/** States are named by their string, never by the field that holds them; a descriptor is immutable and the same value serves graph, task and test. */
import type { Duration } from '../duration.js'
import type { KeyPart, TimeDomain } from '../functions/functions.js'
import type { Type } from '../serialization/types.js'

/** Marks members that exist in types only. */
declare const phantom: unique symbol

export interface StateDescriptor<out S> {
  readonly name: string
  readonly kind: string
  readonly [phantom]?: S
}
export interface MapStateDescriptor<K, V> extends StateDescriptor<MapState<K, V>> {
  readonly kind: 'map'
}
export interface TtlOptions {
  readonly after: Duration
  readonly timeDomain?: TimeDomain
  readonly refresh?: 'on-write' | 'on-read-and-write'
}
export interface StateOptions<T> {
  readonly type?: Type<T>
  readonly ttl?: Duration | TtlOptions
}
export interface ValueState<T> {
  get value(): Readonly<T>
  /** Setting `undefined` clears. */
  set value(next: T)
  /** The value to be changed in place until the call returns; counts as a write. */
  edit(): T
  clear(): void
}
export interface ListState<T> extends Iterable<Readonly<T>> {
  add(value: T): void
  addAll(values: Iterable<T>): void
  update(values: Iterable<T>): void
  clear(): void
}
export interface ReadonlyMapState<K, V> extends Iterable<[K, Readonly<V>]> {
  get(key: K): Readonly<V> | undefined
  has(key: K): boolean
  readonly isEmpty: boolean
}
export interface MapState<K, V> extends ReadonlyMapState<K, V> {
  set(key: K, value: V): void
  edit(key: K): V | undefined
  delete(key: K): void
  clear(): void
}

/** The concrete descriptors, as the state backend reads them. */
export interface ValueStateSpec<T> extends StateDescriptor<ValueState<T>> {
  readonly kind: 'value'
  readonly options: StateOptions<T>
  /** A fresh initial value; undefined where none was given. */
  readonly initial: () => T | undefined
}
export interface ListStateSpec<T> extends StateDescriptor<ListState<T>> {
  readonly kind: 'list'
  readonly options: StateOptions<T>
}
export interface MapStateSpec<K, V> extends MapStateDescriptor<K, V> {
  readonly options: StateOptions<V>
}

export function valueState<T>(name: string, options: StateOptions<T> & { initial: T | (() => T) }): StateDescriptor<ValueState<T>>
export function valueState<T>(name: string, options?: StateOptions<T>): StateDescriptor<ValueState<T | undefined>>
export function valueState<T>(name: string, options: StateOptions<T> & { initial?: T | (() => T) } = {}): StateDescriptor<ValueState<T>> {
  const { initial } = options
  const spec: ValueStateSpec<T> = {
    name,
    kind: 'value',
    options,
    // An object given as such must not be shared between keys.
    initial:
      typeof initial === 'function' ? (initial as () => T) : typeof initial === 'object' ? () => structuredClone(initial) : () => initial,
  }
  return Object.freeze(spec)
}
export function listState<T>(name: string, options: StateOptions<T> = {}): StateDescriptor<ListState<T>> {
  const spec: ListStateSpec<T> = { name, kind: 'list', options }
  return Object.freeze(spec)
}
export function mapState<K extends KeyPart, V>(name: string, options: StateOptions<V> = {}): MapStateDescriptor<K, V> {
  const spec: MapStateSpec<K, V> = { name, kind: 'map', options }
  return Object.freeze(spec)
}
