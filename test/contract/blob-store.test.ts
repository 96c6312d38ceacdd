import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import test from 'ava'
import { MemoryLevel } from 'memory-level'
import { seededRandom } from '#core/random.js'
import type { BlobStore } from '#protocol/ha/blobs.js'
import { decodeBlockKey, encodeBlockKey } from '#storage/keys.js'
import { LevelBlobStore } from '#storage/level-blob-store.js'
import { BINARY, type LevelDatabase, type LevelOperation, levelOnDisk } from '#storage/level-database.js'

interface Subject {
  readonly store: BlobStore
  readonly db: LevelDatabase
  /** The same content, as after a crash: whatever was not written is lost. */
  reopen(): Promise<Subject>
  remove(): Promise<void>
}

async function inMemory(db = new MemoryLevel<Buffer, Buffer>(BINARY) as unknown as LevelDatabase): Promise<Subject> {
  const store = new LevelBlobStore(db)
  await store.open()
  return { store, db, reopen: () => inMemory(db), remove: async () => {} }
}

async function onDisk(directory?: string): Promise<Subject> {
  const path = directory ?? (await mkdtemp(join(tmpdir(), 'flott-blobs-')))
  const db = levelOnDisk(path)
  await db.open()
  const store = new LevelBlobStore(db)
  await store.open()
  return {
    store,
    db,
    async reopen() {
      await db.close()
      return onDisk(path)
    },
    async remove() {
      await db.close()
      await rm(path, { recursive: true })
    },
  }
}

const random = seededRandom(1)
function noise(bytes: number): Buffer {
  const buffer = Buffer.alloc(bytes)
  for (let i = 0; i < bytes; i++) buffer[i] = Math.floor(random.next() * 256)
  return buffer
}
async function* pieces(content: Uint8Array, sizes: readonly number[]): AsyncIterable<Uint8Array> {
  for (let from = 0, n = 0; from < content.length; from += sizes[n++ % sizes.length]!)
    yield content.subarray(from, from + sizes[n % sizes.length]!)
}
async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}
function resolvers(): { promise: Promise<void>; resolve: () => void } {
  let resolve = () => {}
  const promise = new Promise<void>((done) => {
    resolve = done
  })
  return { promise, resolve }
}
const names = async (store: BlobStore, prefix = '') => (await collect(store.list(prefix))).map((b) => b.name)

for (const [kind, open] of Object.entries({ 'memory-level': () => inMemory(), Level: () => onDisk() })) {
  const check = (title: string, body: (t: import('ava').ExecutionContext, subject: Subject) => Promise<void>) =>
    test(`${kind}: ${title}`, async (t) => {
      const subject = await open()
      t.teardown(() => subject.remove().catch(() => {}))
      await body(t, subject)
    })

  check('what was put is got, at every size around a block', async (t, { store }) => {
    for (const bytes of [0, 1, 65_535, 65_536, 65_537, 131_072, 1_048_576, 1_048_577, 2_500_000]) {
      const content = noise(bytes)
      const info = await store.put(`chunk/${bytes}`, content)
      t.deepEqual(info, { name: `chunk/${bytes}`, bytes, crc32: crc32(content) })
      t.deepEqual(await store.info(`chunk/${bytes}`), info)
      t.true(content.equals(await store.get(`chunk/${bytes}`)), `${bytes}`)
    }
  })

  check('a stream in pieces of any size is one blob, in blocks of at most 64 KiB', async (t, { store }) => {
    const content = noise(700_001)
    await store.put('a', pieces(content, [1, 70_000, 333, 65_536, 200_000]))
    const blocks = await collect(store.read('a'))
    t.true(blocks.every((b) => b.byteLength <= 65_536))
    t.true(content.equals(Buffer.concat(blocks)))
  })

  check('the source is not asked for more while a megabyte waits for the disk', async (t, { store, db }) => {
    let asked = 0
    let written = 0
    const batch = db.batch.bind(db)
    db.batch = async (...args) => {
      await batch(...args)
      written += args[0].filter((o) => o.type === 'put').reduce((n, o) => n + (o as { value: Buffer }).value.length, 0)
    }
    async function* source() {
      for (let i = 0; i < 64; i++) {
        asked += 65_536
        t.true(asked - written <= 1_048_576 + 65_536)
        yield noise(65_536)
      }
    }
    await store.put('a', source())
    t.is(asked, 64 * 65_536)
  })

  check('the same content again is a no-op, other content is refused', async (t, { store }) => {
    const content = noise(100_000)
    await store.put('a', content)
    t.deepEqual(await store.put('a', pieces(content, [999])), await store.info('a'))
    await t.throwsAsync(store.put('a', noise(100_000)), { code: 'BLOB_EXISTS' })
    t.true(content.equals(await store.get('a')))
  })

  check('two writers of one name take turns', async (t, { store, db }) => {
    const content = noise(300_000)
    await Promise.all([store.put('a', pieces(content, [5_000])), store.put('a', content), store.put('a', pieces(content, [7_000]))])
    t.true(content.equals(await store.get('a')))
    t.is((await collect(db.keys({ gte: Buffer.of(3), lt: Buffer.of(4) }))).length, 5)
  })

  check('nothing is visible of a blob whose source fails, and its name is free', async (t, { store, db }) => {
    async function* failing() {
      for (let i = 0; i < 40; i++) yield noise(65_536)
      throw new Error('the sender is gone')
    }
    await t.throwsAsync(store.put('a', failing()), { message: 'the sender is gone' })
    t.is(await store.info('a'), undefined)
    t.deepEqual(await names(store), [])
    t.deepEqual(await collect(db.keys({ gte: Buffer.of(3), lt: Buffer.of(5) })), [])
    await store.put('a', noise(10))
  })

  check('what a crash leaves half-written is invisible and removed at open', async (t, subject) => {
    await subject.store.put('kept', noise(70_000))
    const hold = resolvers()
    const reached = resolvers()
    async function* stalled() {
      for (let i = 0; i < 40; i++) yield noise(65_536)
      reached.resolve()
      await hold.promise
    }
    const put = subject.store.put('half', stalled()).catch((error: unknown) => error)
    await reached.promise
    t.deepEqual(await names(subject.store), ['kept'])
    t.true((await collect(subject.db.keys({ gte: Buffer.of(3), lt: Buffer.of(4) }))).length > 16, 'blocks are on disk')
    const after = await subject.reopen()
    t.deepEqual(await names(after.store), ['kept'])
    t.is((await collect(after.db.keys({ gte: Buffer.of(3), lt: Buffer.of(5) }))).length, 2)
    if (kind === 'Level') {
      hold.resolve()
      await put
    }
    await after.store.put('half', noise(5))
    await after.remove()
  })

  check('delete removes name and blocks; readers that have begun go on', async (t, { store, db }) => {
    const content = noise(200_000)
    await store.put('a', content)
    const reading = store.read('a')[Symbol.asyncIterator]()
    const first = await reading.next()
    await store.delete(['a', 'absent'])
    const rest: Uint8Array[] = [first.value]
    for (let next = await reading.next(); !next.done; next = await reading.next()) rest.push(next.value)
    t.true(content.equals(Buffer.concat(rest)))
    await t.throwsAsync(store.get('a'), { code: 'BLOB_NOT_FOUND' })
    t.deepEqual(await collect(db.keys({ gte: Buffer.of(2), lt: Buffer.of(5) })), [])
  })

  check('lists by prefix, in order', async (t, { store }) => {
    for (const name of ['chunk/b', 'chunk/a', 'chunks', 'graph/x', 'chunk']) await store.put(name, noise(1))
    t.deepEqual(await names(store, 'chunk/'), ['chunk/a', 'chunk/b'])
    t.deepEqual(await names(store), ['chunk', 'chunk/a', 'chunk/b', 'chunks', 'graph/x'])
    t.deepEqual(
      (await collect(store.list('', 'chunk/a'))).map((b) => b.name),
      ['chunk/b', 'chunks', 'graph/x'],
    )
    t.deepEqual(
      (await collect(store.list('graph/', 'chunk/a'))).map((b) => b.name),
      ['graph/x'],
    )
  })

  check('a flipped bit, a missing block and an exchanged block are BLOB_CORRUPT', async (t, { store, db }) => {
    const blockKeys = async () => (await collect(db.keys({ gte: Buffer.of(3), lt: Buffer.of(4) }))).map((k) => decodeBlockKey(k))
    await store.put('a', noise(200_000))
    const [first, second] = await blockKeys()
    const [firstValue, secondValue] = [(await db.get(encodeBlockKey(first!)))!, (await db.get(encodeBlockKey(second!)))!]
    const flipped = Buffer.from(secondValue)
    flipped[1_000]! ^= 1
    await db.put(encodeBlockKey(second!), flipped)
    await t.throwsAsync(store.get('a'), { code: 'BLOB_CORRUPT' })
    await db.put(encodeBlockKey(second!), firstValue) // Its own checksum is right.
    await t.throwsAsync(store.get('a'), { code: 'BLOB_CORRUPT' })
    await db.batch([{ type: 'del', key: encodeBlockKey(second!) }])
    await t.throwsAsync(store.get('a'), { code: 'BLOB_CORRUPT' })
  })

  check('the content is there after a reopen', async (t, subject) => {
    const content = noise(150_000)
    await subject.store.put('a', content)
    const after = await subject.reopen()
    t.true(content.equals(await after.store.get('a')))
    await after.store.put('b', noise(10)) // Serials go on above those in use.
    t.true(content.equals(await after.store.get('a')))
    await after.remove()
  })
}

/** Writes that fail are in the log all the same, and show once the database is opened anew, which the next write does. */
function failingLate(db: LevelDatabase): { readonly db: LevelDatabase; failNext(): void } {
  let fails = false
  const unseen: LevelOperation[] = []
  const reopened = async () => {
    if (unseen.length > 0) await db.batch(unseen.splice(0))
  }
  const late: LevelDatabase = {
    status: 'open',
    open: async () => {},
    close: async () => {},
    get: (key) => db.get(key),
    iterator: (range) => db.iterator(range),
    keys: (range) => db.keys(range),
    async put(key, value) {
      await reopened()
      await db.put(key, value)
    },
    async batch(operations) {
      await reopened()
      if (!fails) return db.batch(operations)
      fails = false
      unseen.push(...operations)
      throw Object.assign(new Error('input/output error'), { code: 'EIO' })
    },
    async clear(range) {
      await reopened()
      await db.clear(range)
    },
  }
  return {
    db: late,
    failNext: () => {
      fails = true
    },
  }
}

test('a write that failed and is on disk all the same: its blob is whole, or gone', async (t) => {
  for (const bytes of [0, 10, 2_500_000]) {
    const { db, failNext } = failingLate(new MemoryLevel<Buffer, Buffer>(BINARY) as unknown as LevelDatabase)
    const store = new LevelBlobStore(db)
    await store.open()
    const content = noise(bytes)
    failNext()
    await t.throwsAsync(store.put('a', content), { code: 'STORAGE_FAILED' })
    const whole = async () => {
      for (const name of await names(store, 'a')) t.is((await store.get(name)).byteLength, bytes)
    }
    await whole()
    await store.put('b', noise(10))
    await whole().catch((error: unknown) => t.fail(`${bytes} bytes: ${String(error)}`))
    await store.put('a', content)
    t.true(content.equals(await store.get('a')))
  }
})
