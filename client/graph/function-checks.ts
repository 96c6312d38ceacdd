/** What can be seen of a user function while the graph is built: an async one, one used twice, states of one name. */
import { FlottError } from '#core/errors.js'
import { currentFunctionBinding, functionBindingOf } from '#core/functions/function-binding.js'
import { RichFunction } from '#core/functions/functions.js'
import type { OperatorDefinition } from '#core/functions/operator-definition.js'
import type { StateDescriptor } from '#core/state/state.js'

/** The user functions of an operator, by the name of the method where they belong to an object. */
function functionsOf(definition: OperatorDefinition): readonly (readonly [string, unknown])[] {
  switch (definition.kind) {
    case 'map':
    case 'filter':
    case 'flatMap':
    case 'reduce':
      return [[definition.kind, definition.f]]
    case 'process':
    case 'keyedProcess':
      return [
        ['processElement', definition.f.processElement],
        ['onTimer', definition.f.onTimer],
      ]
    case 'window': {
      const { f } = definition
      if (f.kind === 'process') return [['process', f.process.process]]
      if (f.kind === 'rollingAggregate') return []
      if (f.kind === 'reduce') {
        return [
          ['reduce', f.reduce],
          ['each', f.each],
        ]
      }
      const { createAccumulator, add, getResult, merge } = f.aggregate
      return Object.entries({ createAccumulator, add, getResult, merge, each: f.each })
    }
    default:
      return []
  }
}

/** ASYNC_FUNCTION also for generators: calling one only makes an iterator. */
export function refuseAsync(definition: OperatorDefinition, operator: string): void {
  for (const [name, f] of functionsOf(definition)) {
    if (typeof f !== 'function' || isSynchronous(f)) continue
    throw new FlottError('ASYNC_FUNCTION', `${name} of '${operator}' is async or a generator: it must return its result directly`, {
      operator,
    })
  }
}
function isSynchronous(f: object): boolean {
  const prototype = Object.getPrototypeOf(f) as object | null
  return !/^(Async|Generator|AsyncGenerator)Function$/.test(prototype?.constructor.name ?? '')
}

/** The object that must not serve two operators: what has methods may have fields. A plain function may be used again. */
export function ownedInstance(definition: OperatorDefinition): object | undefined {
  if (definition.kind === 'process' || definition.kind === 'keyedProcess') return definition.f
  if (definition.kind === 'window' && definition.f.kind === 'process') return definition.f.process
  return undefined
}

/** From now on the instance may declare no state; DUPLICATE_STATE where option and class name the same. */
export function sealStates(definition: OperatorDefinition, operator: string): void {
  const instance = ownedInstance(definition)
  if (instance instanceof RichFunction) currentFunctionBinding(instance).seal()
  const seen = new Set<string>()
  for (const { name } of declaredStates(definition)) {
    if (seen.has(name)) throw new FlottError('DUPLICATE_STATE', `'${operator}' declares two states named '${name}'`, { operator })
    seen.add(name)
  }
}

export function declaredStates(definition: OperatorDefinition): readonly StateDescriptor<unknown>[] {
  const instance = ownedInstance(definition)
  const binding = instance && functionBindingOf(instance)
  return [
    ...(definition.kind === 'keyedProcess' ? definition.states : []),
    ...(binding ? [...binding.keyedStates, ...binding.operatorStates.map((s) => s.descriptor)] : []),
  ]
}

/** Whether a checkpoint holds something of the operator, so that its uid must not change. */
export function hasState(definition: OperatorDefinition): boolean {
  switch (definition.kind) {
    case 'source':
    case 'reduce':
    case 'rollingAggregate':
    case 'window':
    case 'keyedProcess':
      return true
    case 'sink':
      return 'createCommitter' in definition.sink
    default:
      return declaredStates(definition).length > 0
  }
}
