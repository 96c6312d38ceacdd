import { between, pick, type Random } from '#core/random.js'

const STRINGS = ['', 'a', 'key', 'a longer string of text', 'ž', '日本語', '🐎', '\ud800', 'x'.repeat(200)]
const NUMBERS = [0, -0, 1, -1, 255, 65536, 2 ** 31, -(2 ** 31), 2 ** 53, 0.5, 1e300, Number.NaN, Infinity, -Infinity]

/** A plain value of any kind that can be sent, nested at most `depth` deep. */
export function anyValue(random: Random, depth: number): unknown {
  const kind = between(random, 0, depth > 0 ? 15 : 8)
  switch (kind) {
    case 0:
      return undefined
    case 1:
      return null
    case 2:
      return random.next() < 0.5
    case 3:
      return pick(random, NUMBERS)
    case 4:
      return between(random, -(2 ** 20), 2 ** 20)
    case 5:
      return random.next() * 1e6
    case 6:
      return pick(random, STRINGS)
    case 7:
      return BigInt(between(random, -1000, 1000)) * 2n ** BigInt(between(random, 0, 90))
    case 8:
      return new Date(between(random, 0, 2 ** 40))
    case 9:
      return new Uint8Array(Array.from({ length: between(random, 0, 5) }, () => between(random, 0, 256)))
    case 10:
      return new Map(Array.from({ length: between(random, 0, 3) }, () => [pick(random, STRINGS), anyValue(random, depth - 1)]))
    case 11:
      return new Set(Array.from({ length: between(random, 0, 3) }, () => pick(random, NUMBERS)))
    case 12:
      return Array.from({ length: between(random, 0, 4) }, () => anyValue(random, depth - 1))
    default:
      return anyObject(random, depth)
  }
}

function anyObject(random: Random, depth: number): object {
  const object = (random.next() < 0.1 ? Object.create(null) : {}) as Record<string, unknown>
  for (let fields = between(random, 0, 5); fields > 0; fields--)
    object[pick(random, ['a', 'b', 'c', '1', 'long name'])] = anyValue(random, depth - 1)
  return object
}
