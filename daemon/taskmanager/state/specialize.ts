/**
 * A function's type feedback belongs to its source, however many closures are made of it: one class for all states would see the keys,
 * values and tables of all of them and turn slow. So the hot classes are made of a copy of their source, one for each state.
 */
let made = 0

/** `factory` must name nothing outside of its parameter: it is compiled again from its source. */
export function specialize<D, T>(factory: (dependencies: D) => T, dependencies: D): T {
  // Never twice the same source: the engine would find the earlier one.
  const copy = new Function(`'use strict'\n// ${made++}\nreturn ${factory.toString()}`)() as (dependencies: D) => T
  return copy(dependencies)
}
