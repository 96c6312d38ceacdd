/** How an error at a record is told: which operator, where it was declared, and what the user's code threw. */
import { FlottError } from '#core/errors.js'
import type { OperatorSpec } from '#protocol/graph/job-graph.js'

export function describeOperator(spec: OperatorSpec): string {
  const at = spec.declaredAt === undefined ? '' : `, declared at ${spec.declaredAt}`
  return `operator '${spec.name}' (uid '${spec.uid}'${at})`
}

const told = new WeakSet<Error>()

/** The engine's own errors keep their code; anything else is the user function's: USER_FUNCTION_FAILED. Wraps at most once. */
export function operatorError(error: unknown, spec: OperatorSpec): FlottError {
  if (error instanceof FlottError && told.has(error)) return error
  const code = error instanceof FlottError ? error.code : 'USER_FUNCTION_FAILED'
  const text = error instanceof Error ? error.message.replace(`${code}: `, '') : String(error)
  const wrapped = new FlottError(code, `${describeOperator(spec)}: ${text}`, { cause: error, operator: spec.uid })
  told.add(wrapped)
  return wrapped
}

export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'
}

export function promiseReturned(): FlottError {
  return new FlottError('PROMISE_RETURNED', 'the function returned a promise: it must be synchronous')
}

export function usedAfterCall(what: string): FlottError {
  return new FlottError('USED_AFTER_CALL', `${what} was used after the call that it was given to had returned`)
}
