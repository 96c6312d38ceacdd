import { FlottError } from '../errors.js'
import type { ListState, MapState, StateDescriptor, ValueState } from './state.js'

/**
 * Stand-ins for states that are declared before they exist. One class a kind, each holding its target in a field, so that a call
 * costs one load more than the state itself.
 */
export class StateProxies {
  readonly #proxies = new Map<string, { target: unknown }>()

  create<S>(descriptor: StateDescriptor<S>): S {
    const make = PROXIES[descriptor.kind]
    if (!make) throw new FlottError('INVALID_ARGUMENT', `state '${descriptor.name}' has the unknown kind '${descriptor.kind}'`)
    const proxy = make(descriptor.name)
    this.#proxies.set(descriptor.name, proxy)
    return proxy as S
  }
  bind(name: string, target: unknown): void {
    const proxy = this.#proxies.get(name)
    if (proxy) proxy.target = target
  }
}

class Unbound {
  constructor(readonly name: string) {}
  get value(): never {
    throw new FlottError('STATE_NOT_DECLARED', `state '${this.name}' is used outside a running task`)
  }
}

class ValueProxy<T> implements ValueState<T> {
  target: ValueState<T>
  constructor(name: string) {
    this.target = new Unbound(name) as unknown as ValueState<T>
  }
  get value(): Readonly<T> {
    return this.target.value
  }
  set value(next: T) {
    this.target.value = next
  }
  edit(): T {
    return this.target.edit()
  }
  clear(): void {
    this.target.clear()
  }
}

class ListProxy<T> implements ListState<T> {
  target: ListState<T>
  constructor(name: string) {
    this.target = new Unbound(name) as unknown as ListState<T>
  }
  add(value: T): void {
    this.target.add(value)
  }
  addAll(values: Iterable<T>): void {
    this.target.addAll(values)
  }
  update(values: Iterable<T>): void {
    this.target.update(values)
  }
  clear(): void {
    this.target.clear()
  }
  [Symbol.iterator](): Iterator<Readonly<T>> {
    return this.target[Symbol.iterator]()
  }
}

class MapProxy<K, V> implements MapState<K, V> {
  target: MapState<K, V>
  constructor(name: string) {
    this.target = new Unbound(name) as unknown as MapState<K, V>
  }
  get(key: K): Readonly<V> | undefined {
    return this.target.get(key)
  }
  has(key: K): boolean {
    return this.target.has(key)
  }
  get isEmpty(): boolean {
    return this.target.isEmpty
  }
  set(key: K, value: V): void {
    this.target.set(key, value)
  }
  edit(key: K): V | undefined {
    return this.target.edit(key)
  }
  delete(key: K): void {
    this.target.delete(key)
  }
  clear(): void {
    this.target.clear()
  }
  [Symbol.iterator](): Iterator<[K, Readonly<V>]> {
    return this.target[Symbol.iterator]()
  }
}

const PROXIES: Readonly<Record<string, (name: string) => { target: unknown }>> = {
  value: (name) => new ValueProxy(name),
  list: (name) => new ListProxy(name),
  map: (name) => new MapProxy(name),
}
