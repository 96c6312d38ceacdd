/**
 * The backend against plain Maps: random operations while snapshots are walked turn by turn, some aborted, some complete without the
 * task being told; every completed one is restored, as a whole and split over two subtasks, and compared with what there was at its barrier.
 */
import { isDeepStrictEqual } from 'node:util'
import test, { type ExecutionContext } from 'ava'
import type { Key } from '#core/functions/functions.js'
import { between, type Random, seededRandom } from '#core/random.js'
import { keyGroupOf, keyHash } from '#core/serialization/key-hash.js'
import type { ChunkRef } from '#protocol/checkpoint/manifest.js'
import { createKeyedStateBackend, type HeapKeyedStateBackend } from '#taskmanager/state/heap-keyed-state-backend.js'
import { backendOptions, MAX_PARALLELISM, MemoryChunks, restoredBackend, settle, TurnClock } from './keyed-backend-under-test.js'
import { keysOf, Model, nameOf, normal } from './keyed-model.js'

async function history(seed: number, size: number) {
  const random = seededRandom(seed)
  const clock = new TurnClock()
  const chunks = new MemoryChunks()
  const keys = keysOf(size)
  const model = new Model(createKeyedStateBackend(backendOptions({ clock, chunks })), random, keys)
  const completed: { id: number; refs: readonly ChunkRef[]; oracle: ReturnType<typeof normal> }[] = []
  for (let id = 1; id <= 12; id++) {
    for (let i = between(random, 0, size); i > 0; i--) model.act()
    const oracle = structuredClone(normal(model.oracle))
    const { done } = model.backend.snapshot(id)
    const outcome = random.next()
    const turns = between(random, 0, 30)
    for (let turn = 0; turn < turns; turn++) {
      for (let i = between(random, 0, 40); i > 0; i--) model.act()
      clock.turn()
    }
    if (outcome < 0.15) {
      model.backend.notifyCheckpointAborted(id)
      for (const blob of chunks.blobs.keys()) if (blob.startsWith(`chunk/job/${id}/`)) chunks.blobs.delete(blob)
    } else if (outcome > 0.2) {
      // Otherwise the next barrier comes while this one is walked.
      await settle(clock)
      completed.push({ id, refs: (await done).chunks, oracle })
      if (outcome < 0.8) model.backend.notifyCheckpointComplete(id)
    }
    await settleSome(random, clock)
  }
  return { keys, chunks, completed }
}
async function settleSome(random: Random, clock: TurnClock) {
  for (let i = between(random, 0, 5); i > 0; i--) clock.turn()
}

const contentOf = (backend: HeapKeyedStateBackend, keys: readonly Key[]) => new Model(backend, seededRandom(1), keys).content()

test('every completed checkpoint restores what there was at its barrier', async (t) => {
  let deltas = 0
  for (let seed = 1; seed <= 14; seed++) {
    const { keys, chunks, completed } = await history(seed, seed % 12 === 0 ? 1_500 : 60)
    for (const { id, refs, oracle } of completed) {
      const restored = await restoredBackend(chunks, refs)
      equal(t, normal(contentOf(restored, keys)), oracle, `seed ${seed}, checkpoint ${id}`)
      if (refs.some((ref) => !ref.blob.startsWith(`chunk/job/${id}/`))) deltas++
    }
    const last = completed.at(-1)
    if (last) await splitRestoresAll(t, keys, chunks, last.refs, last.oracle)
  }
  t.true(deltas > 12, `${deltas} of them were deltas`)
})

/** The comparison of ava also explains, which takes its time. */
function equal(t: ExecutionContext, actual: unknown, expected: unknown, message: string): void {
  if (isDeepStrictEqual(actual, expected)) t.pass()
  else t.deepEqual(actual, expected, message)
}

async function splitRestoresAll(
  t: ExecutionContext,
  keys: readonly Key[],
  chunks: MemoryChunks,
  refs: readonly ChunkRef[],
  oracle: Record<string, [string, unknown][]>,
) {
  const cut = 50
  const inRange = (key: Key, [from, to]: readonly [number, number]) => {
    const group = keyGroupOf(keyHash(key), MAX_PARALLELISM)
    return group >= from && group < to
  }
  for (const keyGroups of [
    [0, cut],
    [cut, MAX_PARALLELISM],
  ] as const) {
    const content = normal(contentOf(await restoredBackend(chunks, refs, { keyGroups }), keys))
    const own = new Set(keys.filter((key) => inRange(key, keyGroups)).map(nameOf))
    const expected = Object.fromEntries(
      Object.entries(oracle).map(([state, entries]) => [
        state,
        entries.filter(([name]) => own.has(state === 'windows' ? name.slice(name.indexOf(' ') + 1) : name)),
      ]),
    )
    equal(t, content, expected, 'split')
  }
}
