import { crc32 } from 'node:zlib'
import test from 'ava'
import { FlottError } from '#core/errors.js'
import { silentLogger } from '#core/logger.js'
import type { BlobTransfer } from '#protocol/ha/blobs.js'
import { ChunkTransfer } from '#taskmanager/chunk-transfer.js'
import { LocalBackup } from '#taskmanager/localbackup/local-backup.js'
import type { ToSlotWorker } from '#taskmanager/slotworker/protocol.js'
import { FakeClock } from '../../../support/fake-clock.js'
import { MemoryChunkFiles } from '../../../support/memory-chunk-files.js'

const MEBIBYTE = 1024 * 1024
const A = 'chunk/job/1/attempt/op-0'
const B = 'chunk/job/1/attempt/op-1'
const snapshot = (...blobs: readonly string[]) => ({
  subtaskIndex: 0,
  finished: false,
  operators: { op: { subtaskIndex: 0, keyed: blobs.map((blob) => ({ blob, bytes: 0, crc32: 0 })) } },
})

const refOf = (blob: string, ...content: readonly number[]) => ({ blob, bytes: content.length, crc32: crc32(Uint8Array.from(content)) })

function underTest({ maxBytes = 1_000 } = {}) {
  const clock = new FakeClock()
  const files = new MemoryChunkFiles()
  return { clock, files, backup: new LocalBackup({ clock, logger: silentLogger, files, maxBytes }) }
}

test('a chunk is read from its copy, over the network only where there is none', async (t) => {
  const { backup, clock } = underTest()
  const fetched: string[] = []
  const blobs = {
    get: async (_: string, name: string) => {
      fetched.push(name)
      return new Uint8Array([9])
    },
    put: () => Promise.reject(new FlottError('STORAGE_FULL', 'the leader takes nothing')),
  } as Partial<BlobTransfer> as BlobTransfer
  const leader = () => ({ address: 'a', epoch: { incarnation: 0, czxid: '1'.padStart(16, '0') } })
  const transfer = new ChunkTransfer({ blobs, clock, leader, local: backup })
  const answers: ToSlotWorker[] = []
  const answer = (message: ToSlotWorker) => void answers.push(message)
  transfer.put(1, A, new Uint8Array([1, 2]), answer)
  transfer.get(2, refOf(A, 1, 2), answer) // At once, while it may be on its way to the file.
  transfer.get(3, refOf(B, 9), answer)
  await clock.advance(10)
  t.deepEqual(answers.map((message) => ('request' in message ? message.request : 0)).sort(), [1, 2, 3])
  t.deepEqual(
    answers.find((message) => message.kind === 'chunk' && message.request === 2),
    { kind: 'chunk', request: 2, bytes: new Uint8Array([1, 2]) },
  )
  t.deepEqual(fetched, [B])
})

test('a damaged, a lost and an unwritable copy are none', async (t) => {
  const { backup, files } = underTest()
  backup.put(A, new Uint8Array([1, 2]))
  backup.put(B, new Uint8Array([3]))
  await backup.get(refOf(B, 3))
  const [first] = [...files.files.values()]
  first![0] = 7
  t.is(await backup.get(refOf(A, 1, 2)), undefined)
  t.deepEqual(await backup.get(refOf(B, 3)), new Uint8Array([3]))
  files.failing = true
  t.is(await backup.get(refOf(B, 3)), undefined)
  const c = refOf('chunk/job/1/attempt/op-2', 4)
  backup.put(c.blob, new Uint8Array([4]))
  t.is(await backup.get(c), undefined)
  files.failing = false
  t.is(await backup.get(c), undefined)
})

test('all jobs together stay within the limit, and what is superseded makes room', async (t) => {
  const { backup, files, clock } = underTest({ maxBytes: 10 })
  backup.put(A, new Uint8Array(6))
  backup.put('chunk/other/1/attempt/op-0', new Uint8Array(6))
  backup.put(B, new Uint8Array(4))
  await clock.advance(0)
  t.is(files.files.size, 2)
  backup.acknowledged('job', 1, snapshot(A, B))
  backup.completed('job', 1)
  backup.acknowledged('job', 2, snapshot(B))
  backup.completed('job', 2)
  await clock.advance(0)
  t.is(files.files.size, 1)
  t.is(await backup.get(refOf(A, 0, 0, 0, 0, 0, 0)), undefined)
  backup.put('chunk/other/1/attempt/op-0', new Uint8Array(6))
  await clock.advance(0)
  t.is(files.files.size, 2)
})

test('what comes faster than it can be written is not kept', async (t) => {
  const { backup, files, clock } = underTest({ maxBytes: 1_000 * MEBIBYTE })
  let release = () => {}
  const released = new Promise<void>((resolve) => (release = resolve))
  files.write = async (name) => {
    await released
    files.files.set(name, new Uint8Array(0))
  }
  for (let part = 0; part < 5; part++) backup.put(`chunk/job/1/attempt/op-${part}`, new Uint8Array(20 * MEBIBYTE))
  release()
  await clock.advance(0)
  t.is(files.files.size, 3)
})

test('a job that has left keeps its copies for a while, in case that it comes back', async (t) => {
  const { backup, files, clock } = underTest()
  backup.put(A, new Uint8Array([1]))
  backup.jobLeft('job')
  await clock.advance(50_000)
  backup.jobCame('job')
  await clock.advance(120_000)
  t.deepEqual(await backup.get(refOf(A, 1)), new Uint8Array([1]))
  backup.jobLeft('job')
  await clock.advance(61_000)
  t.is(await backup.get(refOf(A, 1)), undefined)
  t.is(files.files.size, 0)
})

test('nothing is left at the end', async (t) => {
  const { backup, files } = underTest()
  backup.put(A, new Uint8Array([1]))
  backup.jobLeft('job')
  await backup.stop()
  t.is(files.files.size, 0)
})
