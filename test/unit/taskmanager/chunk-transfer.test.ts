import test from 'ava'
import { FlottError } from '#core/errors.js'
import type { TaskDeploymentDescriptor } from '#protocol/graph/deployment.js'
import type { BlobTransfer } from '#protocol/ha/blobs.js'
import { ChunkTransfer } from '#taskmanager/chunk-transfer.js'
import type { ToSlotWorker } from '#taskmanager/slotworker/protocol.js'
import { FakeClock } from '../../support/fake-clock.js'

const MINUTE = 60_000
const leaderAt = (address: string, reign: number) => ({ address, epoch: { incarnation: 0, czxid: String(reign).padStart(16, '0') } })

function underTest(get: (address: string, name: string) => Promise<Uint8Array>) {
  const clock = new FakeClock()
  const world = { leader: undefined as ReturnType<typeof leaderAt> | undefined }
  const stored: string[] = []
  const blobs = {
    get: (address: string, name: string) => get(address, name),
    put: async (_address: string, name: string) => {
      stored.push(name)
      return { name, bytes: 0, crc32: 0 }
    },
  } as Partial<BlobTransfer> as BlobTransfer
  const transfer = new ChunkTransfer({ blobs, clock, leader: () => world.leader })
  const answers: ToSlotWorker[] = []
  return { clock, world, stored, transfer, answers, answer: (message: ToSlotWorker) => void answers.push(message) }
}
const refOf = (blob: string) => ({ blob, bytes: 100_000_000, crc32: 0 })
const codeOf = (message: ToSlotWorker | undefined) => (message && 'error' in message ? (message.error as { code?: string }).code : 'none')

test('a chunk to restore from waits for a leader, however long there is none, and outlives the ones that die', async (t) => {
  const { clock, world, transfer, answers, answer } = underTest(async (address) => {
    if (address === 'b') return new Uint8Array([1, 2])
    throw new FlottError('CONNECTION_REFUSED', address)
  })
  transfer.get(1, refOf('chunk'), answer)
  await clock.advance(30 * MINUTE)
  for (const reign of [1, 2, 3]) {
    world.leader = leaderAt('a', reign)
    await clock.advance(MINUTE)
    world.leader = undefined
    await clock.advance(10 * MINUTE)
  }
  t.deepEqual(answers, [])
  world.leader = leaderAt('b', 4)
  await clock.advance(2_000)
  t.deepEqual(answers, [{ kind: 'chunk', request: 1, bytes: new Uint8Array([1, 2]) }])
})

test('a leader that never answers is given up, with its reason', async (t) => {
  const { clock, world, transfer, answers, answer } = underTest(() => Promise.reject(new FlottError('STORAGE_FAILED', 'x')))
  world.leader = leaderAt('a', 1)
  transfer.get(1, refOf('chunk'), answer)
  await clock.advance(MINUTE)
  t.deepEqual(answers, [])
  await clock.advance(5 * MINUTE)
  t.deepEqual(answers.map(codeOf), ['STORAGE_FAILED'])
})

test('a chunk that is missing is not asked for again', async (t) => {
  let asked = 0
  const { clock, world, transfer, answers, answer } = underTest(() => {
    asked++
    return Promise.reject(new FlottError('BLOB_NOT_FOUND', 'x'))
  })
  world.leader = leaderAt('a', 1)
  transfer.get(1, refOf('chunk'), answer)
  await clock.advance(MINUTE)
  t.deepEqual([asked, answers.map(codeOf)], [1, ['BLOB_NOT_FOUND']])
})

test('gets that wait hold up no put; without a leader a put fails at once', async (t) => {
  const { clock, world, transfer, answers, stored, answer } = underTest(() => Promise.reject(new FlottError('RPC_TIMEOUT', 'x')))
  for (let request = 0; request < 20; request++) transfer.get(request, refOf('chunk'), answer)
  transfer.put(20, 'early', new Uint8Array(3), answer)
  await clock.advance(1)
  t.deepEqual(answers.map(codeOf), ['LEADER_UNKNOWN'])
  world.leader = leaderAt('a', 1)
  transfer.put(21, 'late', new Uint8Array(3), answer)
  await clock.advance(1)
  t.deepEqual(stored, ['late'])
})

test('closing ends the gets that wait', async (t) => {
  const { clock, transfer, answers, answer } = underTest(() => Promise.reject(new FlottError('RPC_TIMEOUT', 'x')))
  for (let request = 0; request < 20; request++) transfer.get(request, refOf('chunk'), answer)
  await clock.advance(1)
  transfer.close()
  await clock.advance(1)
  t.deepEqual(new Set(answers.map(codeOf)), new Set(['SHUTTING_DOWN']))
  t.is(answers.length, 20)
  t.is(clock.pending, 0)
})

const taskOf = (attemptId: string, blobs: readonly string[]) =>
  ({
    attemptId,
    restore: { checkpointId: 1, parallelism: 2, operators: { op: [{ subtaskIndex: 0, keyed: blobs.map(refOf) }] } },
  }) as unknown as TaskDeploymentDescriptor

test('what tasks will ask for is fetched ahead, in turns, some of it; each is fetched once', async (t) => {
  const asked: string[] = []
  const { clock, world, transfer, answers, answer } = underTest(async (_address, name) => {
    asked.push(name)
    return new Uint8Array([name.length])
  })
  world.leader = leaderAt('a', 1)
  transfer.expect([taskOf('one', ['a', 'bb', 'shared']), taskOf('two', ['ccc', 'dddd', 'shared'])])
  await clock.advance(1)
  t.deepEqual(asked, ['a', 'ccc', 'bb']) // The next one would be more than is held.
  transfer.get(1, refOf('a'), answer)
  await clock.advance(1)
  t.deepEqual(answers, [{ kind: 'chunk', request: 1, bytes: new Uint8Array([1]) }])
  t.deepEqual(asked, ['a', 'ccc', 'bb', 'dddd'])
  transfer.expectNoMore('one')
  transfer.get(2, refOf('dddd'), answer)
  transfer.get(3, refOf('shared'), answer)
  transfer.get(4, refOf('shared'), answer)
  transfer.get(5, refOf('bb'), answer) // By another attempt, later.
  await clock.advance(1)
  t.deepEqual(asked.slice(4), ['shared', 'shared', 'bb'])
  t.is(answers.length, 5)
})

test('what could not be fetched ahead is told to who asks; nobody need ask', async (t) => {
  const { clock, world, transfer, answers, answer } = underTest(() => Promise.reject(new FlottError('BLOB_NOT_FOUND', 'x')))
  world.leader = leaderAt('a', 1)
  transfer.expect([taskOf('one', ['a', 'b'])])
  await clock.advance(1)
  t.deepEqual(answers, [])
  transfer.get(1, refOf('a'), answer)
  await clock.advance(1)
  t.deepEqual(answers.map(codeOf), ['BLOB_NOT_FOUND'])
  transfer.expectNoMore('one')
})
