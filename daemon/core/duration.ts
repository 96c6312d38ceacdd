import { FlottError } from './errors.js'

/** A number is milliseconds; a text has a unit: '250 ms', '5 s', '1 min', '2 h', '1 d'. */
export type Duration = number | `${number}${'' | ' '}${'ms' | 's' | 'min' | 'h' | 'd'}`

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, min: 60_000, h: 3_600_000, d: 86_400_000 }

/** The duration in milliseconds; INVALID_DURATION where the text is none. */
export function millis(duration: Duration): number {
  if (typeof duration === 'number') {
    if (Number.isNaN(duration)) throw new FlottError('INVALID_DURATION', 'NaN is not a duration')
    return duration
  }
  const match = /^(-?\d+(?:\.\d+)?)\s*(ms|s|min|h|d)$/.exec(duration)
  if (!match) throw new FlottError('INVALID_DURATION', `'${duration}' is not a duration: write a number and ms, s, min, h or d`)
  return Number(match[1]) * UNITS[match[2]!]!
}
