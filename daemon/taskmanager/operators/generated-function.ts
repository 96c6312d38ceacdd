/**
 * Functions made at run time, one for each operator instance: the engine then knows the one target of each call in them and inlines
 * it, where a shared function's calls would see all operators of the slot.
 */
let made = 0

/** `body` is the body of a function whose parameters are the names of `bindings`; it returns what is made. Never twice the same source. */
export function generate<T>(bindings: Readonly<Record<string, unknown>>, body: string): T {
  const make = new Function(...Object.keys(bindings), `'use strict'\n// ${made++}\n${body}`)
  return make(...Object.values(bindings)) as T
}
