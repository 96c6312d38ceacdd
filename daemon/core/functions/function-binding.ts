/**
 * How a class's `getState` field comes to hold a live state: while an instance is constructed, each declared state becomes a slot in
 * its binding, an object of the state's kind that forwards to whatever `bind` later puts behind it. At the client nothing is ever
 * bound; in a task the operator binds the backend's state before `open`.
 */
import { FlottError } from '../errors.js'
import type { ListState, StateDescriptor } from '../state/state.js'
import { StateProxies } from '../state/state-proxy.js'

export interface DeclaredOperatorState {
  readonly descriptor: StateDescriptor<ListState<unknown>>
  readonly redistribution: 'split' | 'union'
}

export class FunctionBinding {
  readonly #keyed = new StateProxies()
  readonly #operator = new StateProxies()
  readonly keyedStates: StateDescriptor<unknown>[] = []
  readonly operatorStates: DeclaredOperatorState[] = []
  #sealed = false

  keyedState<S>(descriptor: StateDescriptor<S>): S {
    this.#declare(
      this.keyedStates.map((d) => d.name),
      descriptor.name,
    )
    this.keyedStates.push(descriptor)
    return this.#keyed.create(descriptor)
  }
  operatorState<T>(descriptor: StateDescriptor<ListState<T>>, redistribution: 'split' | 'union'): ListState<T> {
    this.#declare(
      this.operatorStates.map((d) => d.descriptor.name),
      descriptor.name,
    )
    this.operatorStates.push({ descriptor: descriptor as StateDescriptor<ListState<unknown>>, redistribution })
    return this.#operator.create(descriptor)
  }
  /** The operator was added to the graph: no state may be declared from now on. */
  seal(): void {
    this.#sealed = true
  }
  /** Puts the live states behind the fields. */
  bind(resolve: { keyed(d: StateDescriptor<unknown>): unknown; operator(d: DeclaredOperatorState): unknown }): void {
    for (const descriptor of this.keyedStates) this.#keyed.bind(descriptor.name, resolve.keyed(descriptor))
    for (const declared of this.operatorStates) this.#operator.bind(declared.descriptor.name, resolve.operator(declared))
  }
  #declare(names: readonly string[], name: string): void {
    if (this.#sealed)
      throw new FlottError('STATE_DECLARED_LATE', `state '${name}' must be declared in a field initializer or the constructor`)
    if (names.includes(name)) throw new FlottError('DUPLICATE_STATE', `state '${name}' is declared twice`)
  }
}

const bindings = new WeakMap<object, FunctionBinding>()

export function currentFunctionBinding(instance: object): FunctionBinding {
  let binding = bindings.get(instance)
  if (!binding) {
    binding = new FunctionBinding()
    bindings.set(instance, binding)
  }
  return binding
}
/** The binding of an instance that declared any state; undefined for plain functions and objects. */
export function functionBindingOf(instance: object): FunctionBinding | undefined {
  return bindings.get(instance)
}
