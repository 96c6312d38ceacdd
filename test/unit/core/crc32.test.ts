import { crc32 } from 'node:zlib'
import test from 'ava'
import { combineCrc32 } from '#core/crc32.js'

test('the checksum of parts is that of the whole', (t) => {
  const whole = Buffer.from(Array.from({ length: 70_000 }, (_, i) => (i * i) >>> 3))
  for (const sizes of [[], [0], [1, 0, 2], [65_536, 65_536 / 16, 7], [3, 5, 8, 13, 21, 34, 255, 256, 257]]) {
    let [sum, at] = [0, 0]
    for (const size of sizes) {
      const part = whole.subarray(at, at + size)
      at += size
      sum = combineCrc32(sum, crc32(part), part.length)
    }
    t.is(sum, crc32(whole.subarray(0, at)), sizes.join())
  }
})
