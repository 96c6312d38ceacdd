/** A disk that fails: LevelDB keeps its promises only after it was opened anew, and everybody above goes on by themselves. */
import test from 'ava'
import { MemoryLevel } from 'memory-level'
import { LevelBlobStore } from '#storage/level-blob-store.js'
import { BINARY, type LevelDatabase, type LevelOperation } from '#storage/level-database.js'
import { ReopeningLevel } from '#storage/reopening-level.js'

/** As LevelDB does: after a failed write what follows is lost at the next opening, though it succeeds. */
class FailingLevel implements LevelDatabase {
  readonly #db = new MemoryLevel<Buffer, Buffer>(BINARY) as unknown as LevelDatabase
  #lost: LevelOperation[] = []
  #damaged = false
  opened = 0
  full = false
  /** The failure is told, and the write is there after the next opening. */
  appliesAll = false
  /** Called before each write. */
  before: () => Promise<void> = async () => {}

  get status() {
    return this.#db.status
  }
  async open() {
    this.opened++
    await this.#db.open()
    if (this.#lost.length > 0) await this.#db.batch(this.#lost.splice(0))
    this.#damaged = false
  }
  close() {
    return this.#db.close()
  }
  get(key: Buffer) {
    return this.#db.get(key)
  }
  put(key: Buffer, value: Buffer) {
    return this.batch([{ type: 'put', key, value }])
  }
  async batch(operations: LevelOperation[]) {
    await this.before()
    if (this.full) {
      this.#damaged = true
      if (this.appliesAll) this.#lost.push(...operations)
      throw Object.assign(new Error('IO error: 000003.log: No space left on device'), { code: 'LEVEL_IO_ERROR' })
    }
    await this.#db.batch(operations)
    if (this.#damaged) for (const { key } of operations) this.#lost.push({ type: 'del', key })
  }
  clear(range: object) {
    return this.#db.clear(range)
  }
  iterator(range: object) {
    return this.#db.iterator(range)
  }
  keys(range: object) {
    return this.#db.keys(range)
  }
}
async function opened() {
  const disk = new FailingLevel()
  const room = { yes: true }
  const db = new ReopeningLevel(disk, async () => room.yes)
  await db.open()
  const store = new LevelBlobStore(db)
  await store.open()
  return { disk, room, db, store }
}
const bytes = (size: number, fill = 1) => Buffer.alloc(size, fill)

test('a full disk refuses with STORAGE_FULL; what is put after there is room survives the next opening', async (t) => {
  const { disk, room, db, store } = await opened()
  await store.put('before', bytes(10))
  disk.full = true
  room.yes = false
  await t.throwsAsync(store.put('a', bytes(200_000)), { code: 'STORAGE_FULL' })
  disk.full = false
  await t.throwsAsync(store.put('a', bytes(10)), { code: 'STORAGE_FULL' }, 'not before it was opened anew')
  t.deepEqual(await store.get('before'), bytes(10), 'reads go on')
  room.yes = true
  await store.put('a', bytes(200_000))
  t.is(disk.opened, 2)
  await db.close()
  await db.open()
  t.deepEqual(await store.get('a'), bytes(200_000))
})

test('a write beside one that failed does not count', async (t) => {
  const { disk, room, db } = await opened()
  room.yes = false
  let release = () => {}
  const held = new Promise<void>((resolve) => (release = resolve))
  disk.before = () => held
  disk.full = true
  const failing = db.put(Buffer.of(1), Buffer.of(1))
  disk.before = async () => {}
  disk.full = false
  const beside = db.put(Buffer.of(2), Buffer.of(2))
  disk.full = true
  release()
  await t.throwsAsync(failing)
  await t.throwsAsync(beside, { message: /No space left/ })
})

test('iterations go on where they were', async (t) => {
  const { disk, db } = await opened()
  for (let i = 1; i <= 6; i++) await db.put(Buffer.of(i), Buffer.of(i))
  const read = async (range: object) => {
    const keys: number[] = []
    for await (const [key] of db.iterator(range)) {
      keys.push(key[0]!)
      if (keys.length !== 2) continue
      disk.full = true
      await t.throwsAsync(db.put(Buffer.of(0xf0), Buffer.of(0)))
      disk.full = false
      await db.put(Buffer.of(0xf1), Buffer.of(0)) // Opens it anew.
    }
    return keys
  }
  t.deepEqual(await read({ gte: Buffer.of(1), lte: Buffer.of(6) }), [1, 2, 3, 4, 5, 6])
  t.deepEqual(await read({ gt: Buffer.of(1), lt: Buffer.of(7), reverse: true }), [6, 5, 4, 3, 2])
  t.deepEqual(await read({ gte: Buffer.of(1), lt: Buffer.of(7), limit: 3 }), [1, 2, 3])
  t.is(disk.opened, 4)
})

test('a put that was reported as failed, and is there all the same, is a whole blob or none', async (t) => {
  const { disk, db, store } = await opened()
  disk.full = true
  disk.appliesAll = true
  await t.throwsAsync(store.put('a', bytes(100_000)), { code: 'STORAGE_FULL' })
  disk.full = false
  await store.put('other', bytes(1))
  const info = await store.put('a', bytes(100_000))
  t.is(info.bytes, 100_000)
  await store.put('other', bytes(1))
  t.deepEqual(await store.get('a'), bytes(100_000))
  await db.close()
  await db.open()
  t.deepEqual(await store.get('a'), bytes(100_000))
})

test('a blob that shows although its write was reported as failed counts only once it is on disk', async (t) => {
  const { disk, room, db, store } = await opened()
  let writes = 0
  let begun = () => {}
  const second = new Promise<void>((resolve) => (begun = resolve))
  disk.before = async () => {
    const mine = ++writes
    if (mine === 1) await second
    if (mine === 2) {
      begun()
      await new Promise(setImmediate)
    }
    disk.full = mine === 1
  }
  room.yes = false
  const failing = t.throwsAsync(store.put('x', bytes(10)), { code: 'STORAGE_FULL' })
  await t.throwsAsync(store.put('a', bytes(10)), { code: 'STORAGE_FULL' }) // Behind the half of the other's record.
  await failing
  t.deepEqual(await store.get('a'), bytes(10))
  t.is(await store.info('a'), undefined)
  await t.throwsAsync(store.put('a', bytes(10)), { code: 'STORAGE_FULL' })
  room.yes = true
  await store.put('a', bytes(10))
  await db.close()
  await db.open()
  t.deepEqual(await store.get('a'), bytes(10))
  t.truthy(await store.info('a'))
})

test('what a failed put has left is removed once there is room', async (t) => {
  const { disk, room, db, store } = await opened()
  let writes = 0
  disk.before = async () => {
    if (++writes === 3) disk.full = true
  }
  room.yes = false
  await t.throwsAsync(store.put('a', bytes(5_000_000)), { code: 'STORAGE_FULL' })
  disk.full = false
  room.yes = true
  await store.put('b', bytes(1))
  await store.put('b2', bytes(1))
  await store.delete(['b', 'b2'])
  const left: Buffer[] = []
  for await (const key of db.keys({ gte: Buffer.of(2), lt: Buffer.of(5) })) left.push(key)
  t.deepEqual(left, [])
})
