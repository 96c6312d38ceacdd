import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { MemoryLevel } from 'memory-level'
import { systemClock } from '#core/clock.js'
import { NO_EPOCH } from '#core/epoch.js'
import { silentLogger } from '#core/logger.js'
import { type DataDirectory, openDataDirectory, overLevel } from '#storage/data-directory.js'
import { BINARY, type LevelDatabase, storageError } from '#storage/level-database.js'

async function temporary(t: import('ava').ExecutionContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'flott-data-'))
  t.teardown(() => rm(path, { recursive: true, force: true }))
  return path
}
const open = (path: string, logged: string[] = []): Promise<DataDirectory> =>
  openDataDirectory({ path, clock: systemClock, logger: { ...silentLogger, error: (text) => void logged.push(text) } })
const epoch = (czxid: number, incarnation = 0) => ({ incarnation, czxid: czxid.toString(16).padStart(16, '0') })

test('id, cluster, epoch and blobs survive a reopen', async (t) => {
  const path = await temporary(t)
  const first = await open(path)
  t.true(await first.isEmpty())
  t.deepEqual(first.epoch, NO_EPOCH)
  await first.bindCluster('cluster-1')
  await first.persistEpoch(epoch(5))
  await first.blobs.put('x', Buffer.from('x'))
  await first.close()
  const second = await open(path)
  t.is(second.diskId, first.diskId)
  t.is(second.clusterUuid, 'cluster-1')
  t.deepEqual(second.epoch, epoch(5))
  t.false(await second.isEmpty())
  t.is(Buffer.from(await second.blobs.get('x')).toString(), 'x')
  await second.close()
})

test('a second opener is refused, in this process and in another', async (t) => {
  const path = await temporary(t)
  const first = await open(path)
  await t.throwsAsync(open(path), { code: 'DATA_DIRECTORY_LOCKED' })
  const script = `import('${new URL('../../../daemon/storage/level-database.js', import.meta.url).href}').then(async ({ levelOnDisk, storageError }) => {
    await levelOnDisk(${JSON.stringify(join(path, 'level'))}).open().then(() => process.exit(0), (error) => { console.log(storageError(error, 'open').code); process.exit(3) }) })`
  const file = join(path, 'second.mjs')
  await writeFile(file, script)
  const child = spawn(process.execPath, [file], { stdio: ['ignore', 'pipe', 'inherit'] })
  let said = ''
  child.stdout.on('data', (data) => {
    said += data
  })
  await once(child, 'close')
  t.is(said.trim(), 'DATA_DIRECTORY_LOCKED')
  await first.close()
})

test('a path that can not be a directory is unusable', async (t) => {
  const path = await temporary(t)
  await writeFile(join(path, 'file'), '')
  await t.throwsAsync(open(join(path, 'file')), { code: 'DATA_DIRECTORY_UNUSABLE' })
  await t.throwsAsync(open(join(path, 'file', 'below')), { code: 'DATA_DIRECTORY_UNUSABLE' })
})

test('a damaged directory is kept aside, and an empty disk of another id takes its place', async (t) => {
  const path = await temporary(t)
  const first = await open(path)
  await first.bindCluster('cluster-1')
  await first.close()
  const level = join(path, 'level')
  for (const name of await readdir(level)) if (name.startsWith('MANIFEST')) await writeFile(join(level, name), 'not a manifest')
  const logged: string[] = []
  const second = await open(path, logged)
  t.not(second.diskId, first.diskId)
  t.is(second.clusterUuid, undefined)
  t.true(await second.isEmpty())
  t.is(logged.length, 1)
  t.is((await readdir(path)).filter((name) => name.startsWith('level.damaged-')).length, 1)
  await second.close()
})

test('another cluster is refused, and nothing changes', async (t) => {
  const disk = await overLevel(new MemoryLevel<Buffer, Buffer>(BINARY) as unknown as LevelDatabase)
  await disk.bindCluster('cluster-1')
  await disk.bindCluster('cluster-1')
  await t.throwsAsync(disk.bindCluster('cluster-2'), { code: 'CLUSTER_MISMATCH' })
  t.is(disk.clusterUuid, 'cluster-1')
})

test('epochs only rise, whatever the order of the calls', async (t) => {
  const db = new MemoryLevel<Buffer, Buffer>(BINARY) as unknown as LevelDatabase
  const disk = await overLevel(db)
  const outcomes = await Promise.allSettled([
    disk.persistEpoch(epoch(5)),
    disk.persistEpoch(epoch(3)),
    disk.persistEpoch(epoch(3, 1)),
    disk.persistEpoch(epoch(3, 1)),
  ])
  t.deepEqual(
    outcomes.map((o) => o.status),
    ['fulfilled', 'rejected', 'fulfilled', 'fulfilled'],
  )
  await t.throwsAsync(disk.persistEpoch(epoch(9)), { code: 'NOT_LEADER' })
  t.deepEqual((await overLevel(db)).epoch, epoch(3, 1))
})

test('failures of disk and database have a code', (t) => {
  const failure = (message: string, code?: string) =>
    storageError(Object.assign(new Error('failed'), { cause: Object.assign(new Error(message), { code }) }), 'test').code
  t.is(failure('IO error: 000012.log: No space left on device', 'LEVEL_IO_ERROR'), 'STORAGE_FULL')
  t.is(failure('ENOSPC', 'ENOSPC'), 'STORAGE_FULL')
  t.is(failure('IO error: LOCK: Read-only file system', 'LEVEL_IO_ERROR'), 'DATA_DIRECTORY_UNUSABLE')
  t.is(failure('locked', 'LEVEL_LOCKED'), 'DATA_DIRECTORY_LOCKED')
  t.is(failure('IO error: input/output error', 'LEVEL_IO_ERROR'), 'STORAGE_FAILED')
})
