/**
 * What a restored subtask does before its first record, and what it does meanwhile afterwards: CPU milliseconds until the first record is
 * done, for the next 511 of other keys, and until all is decoded. Many small entries; and few that are large, as in the job of the
 * failover benchmark.
 */
import { systemClock } from '#core/clock.js'
import { keyHash } from '#core/serialization/key-hash.js'
import { mapState, type StateDescriptor } from '#core/state/state.js'
import type { HeapKeyedStateBackend } from '#taskmanager/state/heap-keyed-state-backend.js'
import { cpuMs, hundredths, median } from './measure.js'
import { FRAME, keyOf, newBackend, rows } from './state-workload.js'

const LARGE_KEYS = 8
const LARGE_ENTRY = 'x'.repeat(1_000)
const LARGE_ENTRIES_PER_KEY = 6_500
const entries = mapState<number, string>('entries')

/** Keys of a state, and what is done to each. */
interface Content {
  readonly state: StateDescriptor<unknown>
  readonly keys: number
  fill(backend: HeapKeyedStateBackend, i: number): void
  use(backend: HeapKeyedStateBackend): void
}

export async function restoreCost(options: { readonly keys: number; readonly rounds: number }) {
  const { keys, rounds } = options
  const small = await measured(rounds, {
    state: rows as StateDescriptor<unknown>,
    keys,
    fill: (backend, i) => {
      backend.state(rows).value = { n: i, sum: 3 * i }
    },
    use: (backend) => {
      backend.state(rows).edit().n++
    },
  })
  const largeEntries = Math.ceil(Math.min(1, keys / 1e6) * LARGE_ENTRIES_PER_KEY)
  const large = await measured(rounds, {
    state: entries as StateDescriptor<unknown>,
    keys: LARGE_KEYS,
    fill: (backend, i) => {
      for (let entry = 0; entry < largeEntries; entry++) backend.state(entries).set(entry, `${LARGE_ENTRY}${entry}${i}`)
    },
    use: (backend) => {
      backend.state(entries).set(0, LARGE_ENTRY)
    },
  })
  return { small, large }
}

async function measured(rounds: number, { state, keys, fill, use }: Content) {
  const chunks = new Map<string, Uint8Array>()
  const filled = newBackend(chunks)
  const at = (backend: HeapKeyedStateBackend, i: number) => backend.setCurrentKey(keyOf(i), keyHash(keyOf(i)))
  for (let i = 0; i < keys; i++) {
    at(filled, i)
    fill(filled, i)
  }
  const { chunks: keyed } = await filled.snapshot(1).done
  filled.close()
  const stretches: { first: number; frame: number; whole: number; worstTurnMs: number }[] = []
  for (let round = 0; round < rounds; round++) {
    const start = cpuMs()
    const backend = newBackend(chunks)
    await backend.restore([{ subtaskIndex: 0, keyed }])
    backend.state(state)
    backend.declared()
    at(backend, 0)
    use(backend)
    const first = cpuMs()
    for (let i = 1; i < FRAME; i++) {
      at(backend, Math.imul(i, 7_919) % keys)
      use(backend)
    }
    const frame = cpuMs()
    let worstTurnMs = 0
    while (backend.isRestoring) {
      const before = systemClock.monotonicMs()
      await new Promise<void>((resolve) => systemClock.defer(resolve))
      worstTurnMs = Math.max(worstTurnMs, systemClock.monotonicMs() - before)
    }
    stretches.push({ first: first - start, frame: frame - first, whole: cpuMs() - start, worstTurnMs })
    backend.close()
  }
  const medianOf = (figure: (stretch: (typeof stretches)[0]) => number) => hundredths(median(stretches.map(figure)))
  return {
    keys,
    bytes: keyed.reduce((sum, { bytes }) => sum + bytes, 0),
    firstRecordCpuMs: medianOf((s) => s.first),
    frameCpuMs: medianOf((s) => s.frame),
    wholeCpuMs: medianOf((s) => s.whole),
    worstTurnMs: medianOf((s) => s.worstTurnMs),
  }
}
