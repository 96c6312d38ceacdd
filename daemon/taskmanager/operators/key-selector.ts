import type { Key } from '#core/functions/functions.js'
import type { KeySelector } from '#core/functions/operator-definition.js'

/** The key of a record as an expression of `record`; `select` is what the expression calls a user's selector. */
export function keyExpression(selector: KeySelector, record: string, select: string): string {
  if ('field' in selector) return `${record}[${JSON.stringify(selector.field)}]`
  if ('fields' in selector) return `[${selector.fields.map((field) => `${record}[${JSON.stringify(field)}]`).join(', ')}]`
  return `${select}(${record})`
}

/** The same as a function. */
export function keySelectorOf(selector: KeySelector): (record: unknown) => Key {
  if ('select' in selector) return selector.select as unknown as (record: unknown) => Key
  if ('field' in selector) return (record) => (record as Readonly<Record<string, Key>>)[selector.field]!
  const { fields } = selector
  return (record) => fields.map((field) => (record as Readonly<Record<string, never>>)[field]!)
}
