import test from 'ava'
import type { CommitRequest } from '#core/functions/sink.js'
import { stableId } from '#core/ids.js'
import type { SubtaskState } from '#protocol/checkpoint/manifest.js'
import type { OperatorSnapshotResult } from '#taskmanager/operators/operator.js'
import { batchOf, makeChain } from '../support/chains.js'
import { FakeClock, settle } from '../support/fake-clock.js'

/** A sink that prepares what was written since the last barrier as one committable. */
class TestSink {
  written: unknown[] = []
  committed: unknown[] = []
  restoredWriters: unknown[] = []
  flushes: boolean[] = []
  onCommit: (request: CommitRequest<unknown>) => void = (request) => void this.committed.push(request.committable)

  createWriter(_ctx: unknown, restored: readonly unknown[]) {
    this.restoredWriters = [...restored]
    return {
      write: (record: unknown) => void this.written.push(record),
      flush: (endOfInput: boolean) => void this.flushes.push(endOfInput),
      prepareCommit: async () => this.written.splice(0),
      snapshotState: (id: number) => [`writer at ${id}`],
    }
  }
  createCommitter() {
    return { commit: async (requests: readonly CommitRequest<unknown>[]) => requests.forEach((r) => void this.onCommit(r)) }
  }
}

function sinkChain(sink: object, options: Parameters<typeof makeChain>[0] extends infer S ? Partial<S> : never = {}) {
  const { chain } = makeChain({ operators: [{ kind: 'sink', sink: sink as never, uid: 'sink' }], outputs: [], ...options })
  const [, operator] = chain.operators[0]!
  return {
    chain,
    operator,
    async checkpoint(id: number): Promise<OperatorSnapshotResult> {
      await operator.prepareSnapshot(id)
      return operator.snapshot(id)
    },
  }
}

function restoredFrom(checkpointId: number, snapshots: readonly OperatorSnapshotResult[], parallelism = snapshots.length) {
  const states = snapshots.map(
    (s, subtaskIndex): SubtaskState => ({ subtaskIndex, keyed: [], ...(s.operator ? { inline: s.operator } : {}) }),
  )
  return { checkpointId, operators: { [stableId('sink')]: states }, parallelism }
}

test('what a checkpoint covers is committed when it is complete', async (t) => {
  const sink = new TestSink()
  const { chain, operator, checkpoint } = sinkChain(sink)
  await chain.open()
  chain.processBatch(batchOf(['a', 'b']), 0)
  await checkpoint(1)
  chain.processBatch(batchOf(['c']), 0)
  t.deepEqual(sink.committed, [])
  await operator.notifyCheckpointComplete(1)
  t.deepEqual(sink.committed, ['a', 'b'])
  await operator.notifyCheckpointComplete(1)
  t.deepEqual(sink.committed, ['a', 'b'])
})

test('an aborted checkpoint loses nothing: the next one commits its part, also after a restore', async (t) => {
  const sink = new TestSink()
  const { chain, operator, checkpoint } = sinkChain(sink)
  await chain.open()
  chain.processBatch(batchOf(['a']), 0)
  await checkpoint(1)
  operator.notifyCheckpointAborted(1)
  chain.processBatch(batchOf(['b']), 0)
  const second = await checkpoint(2)
  const successor = new TestSink()
  const restored = sinkChain(successor, { restored: restoredFrom(2, [second]) })
  await restored.chain.open()
  t.deepEqual(successor.committed, ['a', 'b'])
  t.deepEqual(successor.restoredWriters, ['writer at 2'])
  await operator.notifyCheckpointComplete(2)
  t.deepEqual(sink.committed, ['a', 'b'])
})

test('at another parallelism each committable has one owner', async (t) => {
  const snapshots: OperatorSnapshotResult[] = []
  for (const letters of [
    ['a', 'b'],
    ['c', 'd'],
  ]) {
    const { chain, checkpoint } = sinkChain(new TestSink())
    await chain.open()
    for (const [i, letter] of letters.entries()) {
      chain.processBatch(batchOf([letter]), 0)
      snapshots[letters[0] === 'a' ? 0 : 1] = await checkpoint(i + 1)
    }
  }
  const committed: unknown[][] = []
  for (let index = 0; index < 3; index++) {
    const sink = new TestSink()
    await sinkChain(sink, { restored: restoredFrom(2, snapshots), subtask: { index, parallelism: 3 } }).chain.open()
    committed.push(sink.committed)
  }
  t.deepEqual(committed.flat().sort(), ['a', 'b', 'c', 'd'])
})

test('retryLater tries again, signalFailed fails, signalAlreadyCommitted is done', async (t) => {
  const clock = new FakeClock()
  const sink = new TestSink()
  const { chain, operator, checkpoint } = sinkChain(sink, { clock })
  await chain.open()
  const tries: [unknown, number][] = []
  sink.onCommit = (request) => {
    tries.push([request.committable, request.numberOfRetries])
    if (request.committable === 'late' && request.numberOfRetries < 2) request.retryLater()
    if (request.committable === 'done') request.signalAlreadyCommitted()
  }
  chain.processBatch(batchOf(['late', 'done']), 0)
  await checkpoint(1)
  const committed = operator.notifyCheckpointComplete(1)
  await clock.advance(1_000)
  await committed
  t.deepEqual(tries, [
    ['late', 0],
    ['done', 0],
    ['late', 1],
    ['late', 2],
  ])
  sink.onCommit = (request) => request.signalFailed(new Error('no such table'))
  chain.processBatch(batchOf(['x']), 0)
  await checkpoint(2)
  await t.throwsAsync(async () => operator.notifyCheckpointComplete(2), { message: 'no such table' })
})

test('without checkpoints the end commits', async (t) => {
  const sink = new TestSink()
  const { chain, operator } = sinkChain(sink, { services: { checkpointingEnabled: false } })
  await chain.open()
  chain.processBatch(batchOf(['a']), 0)
  await operator.endOfData()
  t.deepEqual(sink.flushes, [true])
  t.deepEqual(sink.committed, ['a'])
})

test('a pending write holds input back and keeps the order', async (t) => {
  const written: unknown[] = []
  const pending: (() => void)[] = []
  let woken = 0
  const sink = {
    createWriter: () => ({
      write(record: unknown) {
        written.push(record)
        return new Promise<void>((resolve) => pending.push(resolve))
      },
      flush: () => void written.push('flush'),
    }),
  }
  const { chain, operator } = sinkChain(sink, { services: { wake: () => void woken++ } })
  await chain.open()
  chain.processBatch(batchOf([1, 2, 3]), 0)
  t.deepEqual(written, [1])
  t.true(chain.holdsInput)
  const prepared = operator.prepareSnapshot(1)
  for (let i = 0; i < 3; i++) {
    await settle()
    pending.shift()!()
  }
  await prepared
  t.deepEqual(written, [1, 2, 3, 'flush'])
  t.false(chain.holdsInput)
  t.is(woken, 1)
})
