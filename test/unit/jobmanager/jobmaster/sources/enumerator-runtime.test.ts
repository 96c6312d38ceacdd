import test from 'ava'
import type { Source, SourceSplit } from '#core/functions/source.js'
import type { FromEnumerators } from '#jobmanager/jobmaster/sources/enumerator-host.js'
import { EnumeratorRuntime } from '#jobmanager/jobmaster/sources/enumerator-runtime.js'
import { FakeClock } from '../../../../support/fake-clock.js'

/** Gives one split to the reader with the highest index, once. */
const source: Source<unknown, SourceSplit, { given: boolean }> = {
  boundedness: 'bounded',
  createReader: () => {
    throw new Error('it is not read here')
  },
  createEnumerator: (ctx, restored) => {
    let given = restored?.given ?? false
    return {
      start() {
        if (!given) ctx.assignSplit({ splitId: 's' }, ctx.parallelism - 1)
        given = true
      },
      addSplitsBack: () => {},
      snapshotState: () => ({ given }),
    }
  },
}

test('a split that waits for a reader goes to another one when there are fewer readers after a restore', (t) => {
  const given: FromEnumerators[] = []
  const runtime = (parallelism: number, restored?: Uint8Array) => {
    const operator = { operatorId: 'o', uid: 'o', vertexId: 'v', parallelism }
    const made = new EnumeratorRuntime(
      { operator, adopted: [], ...(restored ? { restored } : {}) },
      source as Source<unknown, SourceSplit, unknown>,
      new FakeClock(),
      (message) => given.push(message),
      (cause) => t.fail(cause.message),
    )
    made.open()
    return made
  }
  const before = runtime(3)
  before.readerRegistered({ reader: 0, registration: 1, noMoreSplits: false })
  t.deepEqual(given, [], 'it waits for reader 2')
  for (const [parallelism, reader] of [
    [2, 0],
    [3, 2],
  ] as const) {
    const after = runtime(parallelism, before.snapshot(1))
    for (let i = 0; i < parallelism; i++) after.readerRegistered({ reader: i, registration: 10 + i, noMoreSplits: false })
    t.like(given.splice(0), [{ kind: 'splits-assigned', reader, splits: [{ splitId: 's' }] }])
  }
})
