/** The common aggregates, for windows and accumulators. Each can be merged. Accumulators are changed in place. */
import type { AggregateFunction } from './functions.js'
import { type Selector, selected } from './selector.js'

export const aggregates = {
  count(): AggregateFunction<unknown, { n: number }, number> {
    return {
      createAccumulator: () => ({ n: 0 }),
      add(_record, acc) {
        acc.n++
        return acc
      },
      getResult: (acc) => acc.n,
      merge(a, b) {
        a.n += b.n
        return a
      },
    }
  },
  sum<T>(of: Selector<T, number>): AggregateFunction<T, { sum: number }, number> {
    const value = selected(of)
    return {
      createAccumulator: () => ({ sum: 0 }),
      add(record, acc) {
        acc.sum += value(record)
        return acc
      },
      getResult: (acc) => acc.sum,
      merge(a, b) {
        a.sum += b.sum
        return a
      },
    }
  },
  /** Infinity of nothing. */
  min<T>(of: Selector<T, number>): AggregateFunction<T, { min: number }, number> {
    const value = selected(of)
    return {
      createAccumulator: () => ({ min: Infinity }),
      add(record, acc) {
        acc.min = Math.min(acc.min, value(record))
        return acc
      },
      getResult: (acc) => acc.min,
      merge(a, b) {
        a.min = Math.min(a.min, b.min)
        return a
      },
    }
  },
  /** -Infinity of nothing. */
  max<T>(of: Selector<T, number>): AggregateFunction<T, { max: number }, number> {
    const value = selected(of)
    return {
      createAccumulator: () => ({ max: -Infinity }),
      add(record, acc) {
        acc.max = Math.max(acc.max, value(record))
        return acc
      },
      getResult: (acc) => acc.max,
      merge(a, b) {
        a.max = Math.max(a.max, b.max)
        return a
      },
    }
  },
  /** NaN of nothing. */
  average<T>(of: Selector<T, number>): AggregateFunction<T, { n: number; sum: number }, number> {
    const value = selected(of)
    return {
      createAccumulator: () => ({ n: 0, sum: 0 }),
      add(record, acc) {
        acc.n++
        acc.sum += value(record)
        return acc
      },
      getResult: (acc) => acc.sum / acc.n,
      merge(a, b) {
        a.n += b.n
        a.sum += b.sum
        return a
      },
    }
  },
  /** In order of arrival. */
  toArray<T>(): AggregateFunction<T, T[], T[]> {
    return {
      createAccumulator: () => [],
      add(record, acc) {
        acc.push(record)
        return acc
      },
      getResult: (acc) => acc.slice(),
      merge(a, b) {
        for (const record of b) a.push(record)
        return a
      },
    }
  },
} as const
