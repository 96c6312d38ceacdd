/** Checksums of parts to that of the whole, so that each byte is summed up once. */

/** The polynomial of CRC-32 (ISO 3309), the term of degree 0 in the highest bit, as in zlib. */
const POLYNOMIAL = 0xedb88320
/** 1 and x^8, in that order of bits. */
const ONE = 0x80000000
const X8 = 0x00800000

let lastBytes = 0
let lastShift = ONE

/** The CRC-32 of a text, from that of its beginning and that of the rest, which has so many bytes. */
export function combineCrc32(first: number, second: number, secondBytes: number): number {
  if (secondBytes !== lastBytes) {
    lastShift = power(X8, secondBytes)
    lastBytes = secondBytes
  }
  return (product(lastShift, first) ^ second) >>> 0
}

function power(base: number, exponent: number): number {
  let result = ONE
  for (let left = exponent, square = base; left > 0; left = Math.floor(left / 2)) {
    if (left % 2 === 1) result = product(result, square)
    square = product(square, square)
  }
  return result
}

/** Modulo the polynomial. */
function product(a: number, b: number): number {
  let sum = 0
  let shifted = b
  for (let term = ONE; term !== 0; term >>>= 1) {
    if (a & term) sum ^= shifted
    shifted = shifted & 1 ? (shifted >>> 1) ^ POLYNOMIAL : shifted >>> 1
  }
  return sum >>> 0
}
