/** Chance enters the program here only, so that a simulation's seed is a whole history. */
export interface Random {
  /** Uniform in [0, 1). */
  next(): number
}

// Taken once: while a program is evaluated in a worker, Math.random is a seeded one.
const systemNext = Math.random

export const systemRandom: Random = { next: () => systemNext() }

/** Uniform integer in [from, to). */
export function between(random: Random, from: number, to: number): number {
  return from + Math.floor(random.next() * (to - from))
}

export function pick<T>(random: Random, from: readonly T[]): T {
  if (from.length === 0) throw new RangeError('pick from an empty array')
  return from[between(random, 0, from.length)]!
}

/** mulberry32: small, fast, good enough for tests and jitter; not for secrets. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0
  return {
    next() {
      state = (state + 0x6d2b79f5) >>> 0
      let t = state
      t = Math.imul(t ^ (t >>> 15), t | 1)
      t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
      return ((t ^ (t >>> 14)) >>> 0) / 4294967296
    },
  }
}
