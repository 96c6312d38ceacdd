/** A real LevelDB on a real disk that fills up: a small tmpfs, where mounting is permitted. */
import { join } from 'node:path'
import test from 'ava'
import { LevelBlobStore } from '#storage/level-blob-store.js'
import { levelOnDisk } from '#storage/level-database.js'
import { smallDisk } from '../../support/small-disk.js'

test.serial('blobs that were put before, and after there is room again, are all there after a restart', async (t) => {
  const disk = smallDisk(t, 24)
  if (!disk) return t.pass('mounting is not permitted here')
  const db = levelOnDisk(join(disk.path, 'level'))
  await db.open()
  const store = new LevelBlobStore(db)
  await store.open()
  const names: string[] = []
  const content = (name: string) => Buffer.alloc(300_000, name)
  const putAll = async (prefix: string, count: number) => {
    const puts = Array.from({ length: count }, (_, i) => `${prefix}${i}`).map(async (name) => {
      await store.put(name, content(name))
      names.push(name)
    })
    return (await Promise.allSettled(puts)).filter(({ status }) => status === 'rejected') as PromiseRejectedResult[]
  }
  t.deepEqual(await putAll('before-', 3), [])
  for (let round = 0; round < 3; round++) {
    disk.fill(500_000)
    const failed = await putAll(`full-${round}-`, 6)
    t.true(failed.length > 0)
    for (const { reason } of failed) t.is((reason as { code: string }).code, 'STORAGE_FULL')
    for (const name of names) t.true(content(name).equals(await store.get(name)), `${name} while the disk is full`)
    disk.free()
    t.deepEqual(await putAll(`after-${round}-`, 3), [])
  }
  await db.close()
  const again = levelOnDisk(join(disk.path, 'level'))
  await again.open()
  const reopened = new LevelBlobStore(again)
  await reopened.open()
  for (const name of names) t.true(content(name).equals(await reopened.get(name)), name)
  await again.close()
})
