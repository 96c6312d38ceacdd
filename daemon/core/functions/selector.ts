/** The fields of T that hold a V, listed by completion and in errors wherever a field is named. */
export type FieldOf<T, V> = { [F in keyof T & string]: T[F] extends V ? F : never }[keyof T & string] extends infer F extends keyof T &
  string
  ? F
  : never
/** A field by name, or a function. */
export type Selector<T, V> = FieldOf<T, V> | ((record: T) => V)

/** One function for both forms. */
export function selected<T, V>(of: Selector<T, V>): (record: T) => V {
  if (typeof of === 'function') return of
  const field: string = of
  return (record) => (record as Readonly<Record<string, V>>)[field]!
}
