/** Figures about many values, as Flink's answers have them. Pure. */

export interface Distribution {
  readonly min: number
  readonly max: number
  readonly avg: number
  readonly sum: number
  /** 0 < fraction < 1. */
  quantile(fraction: number): number
}

/** Of no values all is 0. Quantiles lie at rank (n + 1) × fraction, between two values in proportion, as Flink's do. */
export function distribution(values: readonly number[]): Distribution {
  const sorted = values.toSorted((a, b) => a - b)
  const count = sorted.length
  const sum = sorted.reduce((total, value) => total + value, 0)
  return {
    min: sorted[0] ?? 0,
    max: sorted.at(-1) ?? 0,
    avg: count === 0 ? 0 : sum / count,
    sum,
    quantile(fraction) {
      if (count === 0) return 0
      const rank = Math.min(Math.max(fraction * (count + 1), 1), count)
      const below = sorted[Math.floor(rank) - 1]!
      const above = sorted[Math.ceil(rank) - 1]!
      return below + (rank - Math.floor(rank)) * (above - below)
    },
  }
}
