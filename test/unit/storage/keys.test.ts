import test from 'ava'
import * as keys from '#storage/keys.js'

test('keys and values survive the round trip', (t) => {
  for (const name of ['', 'artifact/00', 'ünïcode/✓']) {
    t.is(keys.decodeMetaKey(keys.encodeMetaKey(name)), name)
    t.is(keys.decodeBlobKey(keys.encodeBlobKey(name)), name)
    t.is(keys.decodeFactKey(keys.encodeFactKey(name)), name)
  }
  for (const serial of [0n, 1n, 2n ** 63n, 2n ** 64n - 1n]) {
    t.deepEqual(keys.decodeBlockKey(keys.encodeBlockKey({ serial, block: 0xffffffff })), { serial, block: 0xffffffff })
    t.is(keys.decodeLooseKey(keys.encodeLooseKey(serial)), serial)
    const value = { serial, bytes: 2 ** 40, crc32: 0xdeadbeef }
    t.deepEqual(keys.decodeBlobValue(keys.encodeBlobValue(value)), value)
  }
  t.deepEqual(keys.decodeBlockValue(keys.encodeBlockValue(7, Buffer.from('x'))), { crc32: 7, bytes: Buffer.from('x') })
  t.deepEqual(keys.decodeFactValue(keys.encodeFactValue(7, Buffer.from('x'))), { version: 7, bytes: Buffer.from('x') })
})

test('tags on disk never change', (t) => {
  t.is(keys.encodeMetaKey('disk-id').toString('hex'), '016469736b2d6964')
  t.is(keys.encodeBlobKey('a').toString('hex'), '0261')
  t.is(keys.encodeBlockKey({ serial: 258n, block: 3 }).toString('hex'), '03000000000000010200000003')
  t.is(keys.encodeLooseKey(258n).toString('hex'), '040000000000000102')
  t.is(keys.encodeFactKey('/jobs').toString('hex'), '052f6a6f6273')
})

test('a key of another kind is refused', (t) => {
  t.throws(() => keys.decodeBlobKey(keys.encodeMetaKey('a')))
  t.throws(() => keys.decodeBlockKey(keys.encodeLooseKey(1n)))
  t.throws(() => keys.decodeLooseKey(keys.encodeBlockKey({ serial: 1n, block: 0 })))
})

test('ranges hold exactly their keys', (t) => {
  const within = ({ gte, lt }: { gte: Buffer; lt: Buffer }, key: Buffer) => gte.compare(key) <= 0 && lt.compare(key) > 0
  t.true(within(keys.blobRange('a/'), keys.encodeBlobKey('a/\u{10ffff}')))
  t.false(within(keys.blobRange('a/'), keys.encodeBlobKey('a0')))
  t.false(within(keys.allBlocks, keys.encodeLooseKey(0n)))
  const { gte, lte } = keys.blockRange(5n)
  t.true(gte.compare(keys.encodeBlockKey({ serial: 5n, block: 0 })) === 0 && lte.compare(keys.encodeBlockKey({ serial: 6n, block: 0 })) < 0)
})
