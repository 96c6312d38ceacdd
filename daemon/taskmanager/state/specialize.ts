/**
 * A function's type feedback belongs to its source, however many closures are made of it: one class for all states would see the keys,
 * values and tables of all of them and turn slow. So the hot classes are made of a copy of their source, one for each state of an
 * operator; subtasks and attempts that share a thread share it, since what they see is alike.
 */
const made = new Map<string, unknown>()
/** Threads live as long as a job; this bounds those that live longer. */
const MADE_MAX = 4_096

/** `factory` must name nothing outside of its parameter: it is compiled again from its source. `name` says whose copy it is. */
export function specialize<D, T>(name: string, factory: (dependencies: D) => T, dependencies: D): T {
  const id = `${factory.name} of ${name}`
  const known = made.get(id)
  if (known !== undefined) return known as T
  if (made.size >= MADE_MAX) made.clear()
  // The comment makes the source unique: the engine would find an equal one's feedback.
  const copy = new Function(`'use strict'\n// ${JSON.stringify(id)}\nreturn ${factory.toString()}`)() as (dependencies: D) => T
  const result = copy(dependencies)
  made.set(id, result)
  return result
}
