/**
 * Keyed state: updates per CPU second of a counter per string key (keys are fresh strings, as after decoding; the hash comes along; a
 * frame's entries are touched first), against a Map; and what a checkpoint of a million keys, a tenth of them dirty, costs.
 * One JSON line. Usage: node dist/test/bench/state.bench.js [seconds per figure]
 */
import { cpus } from 'node:os'
import { systemClock } from '#core/clock.js'
import { seededRandom } from '#core/random.js'
import { keyHash } from '#core/serialization/key-hash.js'
import { type ValueState, valueState } from '#core/state/state.js'
import { createKeyedStateBackend, type HeapKeyedStateBackend } from '#taskmanager/state/heap-keyed-state-backend.js'
import { specialize } from '#taskmanager/state/specialize.js'

const FRAME = 512
const secondsEach = Number(process.argv[2] ?? 1)
const random = seededRandom(1)
let made = 0
const stored = new Map<string, number>()

function newBackend(): HeapKeyedStateBackend {
  return createKeyedStateBackend({
    jobId: 'job',
    operatorId: `operator ${made++}`,
    attemptId: 'attempt',
    subtaskIndex: 0,
    keyGroups: [0, 128],
    maxParallelism: 128,
    clock: systemClock,
    memory: { reserve() {} },
    chunks: {
      put: async (blob, bytes) => void stored.set(blob, bytes.length),
      get: async () => new Uint8Array(),
    },
  })
}

interface Frame {
  readonly keys: string[]
  readonly hashes: Int32Array
}
const keyOf = (i: number) => `user-${i}`

/** Fresh strings, made outside of what is measured. */
function frames(keyCount: number, count: number): Frame[] {
  return Array.from({ length: count }, () => {
    const text = Array.from({ length: FRAME }, () => keyOf(Math.floor(random.next() * keyCount)))
    const heap = Buffer.from(text.join('')).toString('latin1')
    let at = 0
    const keys = text.map(({ length }) => {
      at += length
      return heap.substring(at - length, at)
    })
    return { keys, hashes: Int32Array.from(keys, (key) => keyHash(key)) }
  })
}

function cpuSeconds(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6
}

/** Records per CPU second. */
function rate(make: () => Frame[], work: (frame: Frame) => void, seconds = secondsEach): number {
  let records = 0
  let cpu = 0
  while (cpu < seconds) {
    const some = make()
    const start = cpuSeconds()
    for (const frame of some) work(frame)
    cpu += cpuSeconds() - start
    records += some.length * FRAME
  }
  return Math.round(records / cpu)
}

interface Row {
  n: number
  sum: number
}
const numbers = valueState('numbers', { initial: 0 })
const rows = valueState<Row>('rows', { initial: () => ({ n: 0, sum: 0 }) })

/** A loop of its own for each measurement, as the task generates one for each operator. */
function updateFrame<T>(
  backend: HeapKeyedStateBackend,
  state: ValueState<T>,
  update: (state: ValueState<T>) => void,
): (frame: Frame) => void {
  return specialize(`loop ${made++}`, makeLoop, { backend, state, update }) as (frame: Frame) => void
}
function makeLoop({ backend, state, update }: { backend: HeapKeyedStateBackend; state: unknown; update(state: never): void }) {
  return ({ keys, hashes }: Frame) => {
    backend.prefetch(hashes, keys.length)
    for (let i = 0; i < keys.length; i++) {
      backend.setCurrentKey(keys[i]!, hashes[i]!)
      update(state as never)
    }
  }
}

function fill<T>(backend: HeapKeyedStateBackend, state: ValueState<T>, keyCount: number, update: (state: ValueState<T>) => void) {
  let worstMs = 0
  for (let i = 0; i < keyCount; ) {
    const start = systemClock.monotonicMs()
    for (const end = Math.min(keyCount, i + 1_000); i < end; i++) {
      const key = keyOf(i)
      backend.setCurrentKey(key, keyHash(key))
      update(state)
    }
    worstMs = Math.max(worstMs, systemClock.monotonicMs() - start)
  }
  return worstMs
}

const makeIncrement = () => (state: ValueState<number>) => {
  state.value++
}
const makeEdit = () => (state: ValueState<Row>) => {
  const row = state.edit()
  row.n++
  row.sum += 3
}

function updates(keyCount: number) {
  const make = () => frames(keyCount, 200)
  const backend = newBackend()
  const increment = specialize(`increment ${made++}`, makeIncrement, undefined)
  const edit = specialize(`edit ${made++}`, makeEdit, undefined)
  const worstMs = fill(backend, backend.state(numbers), keyCount, increment)
  const numeric = rate(make, updateFrame(backend, backend.state(numbers), increment))
  const other = newBackend()
  fill(other, other.state(rows), keyCount, edit)
  const edited = rate(make, updateFrame(other, other.state(rows), edit))
  const map = new Map<string, Row>()
  for (let i = 0; i < keyCount; i++) map.set(keyOf(i), { n: 1, sum: 3 })
  const mapped = rate(make, ({ keys }) => {
    for (const key of keys) {
      const row = map.get(key)!
      row.n++
      row.sum += 3
    }
  })
  return {
    keys: keyCount,
    numbersPerCpuSecond: numeric,
    rowsPerCpuSecond: edited,
    mapPerCpuSecond: mapped,
    worst1000InsertsMs: round(worstMs),
  }
}

const round = (value: number) => Math.round(value * 100) / 100

/** Frames go on while the snapshot is walked, as in a slot's loop: a frame, then a turn of the event loop. */
async function checkpoints(keyCount: number) {
  const backend = newBackend()
  const state = backend.state(rows)
  const edit = specialize(`edit ${made++}`, makeEdit, undefined)
  fill(backend, state, keyCount, edit)
  const work = updateFrame(backend, state, edit)
  const hot = frames(keyCount / 10, 400) // The tenth of the keys that is dirty.
  const turn = () => new Promise<void>((resolve) => systemClock.defer(resolve))
  const run = async (until: () => boolean) => {
    const start = cpuSeconds()
    const gaps: number[] = []
    let records = 0
    let last = systemClock.monotonicMs()
    for (let i = 0; !until(); i++) {
      work(hot[i % hot.length]!)
      records += FRAME
      await turn()
      const now = systemClock.monotonicMs()
      gaps.push(now - last)
      last = now
    }
    gaps.sort((a, b) => a - b)
    const cpu = cpuSeconds() - start
    return { records, cpu, rate: records / cpu, worstMs: gaps.at(-1) ?? 0, p99Ms: gaps[Math.floor(gaps.length * 0.99)] ?? 0 }
  }
  const forMs = (ms: number) => {
    const end = systemClock.monotonicMs() + ms
    return () => systemClock.monotonicMs() >= end
  }
  const snapshot = async (id: number) => {
    const barrier = systemClock.monotonicMs()
    const { done } = backend.snapshot(id)
    const pauseMs = systemClock.monotonicMs() - barrier
    let isDone = false
    const result = done.then((r) => {
      isDone = true
      return r
    })
    const during = await run(() => isDone)
    backend.notifyCheckpointComplete(id)
    return { pauseMs, during, bytes: (await result).checkpointedBytes, walkMs: systemClock.monotonicMs() - barrier }
  }
  await run(forMs(500))
  const without = await run(forMs(1_000))
  const base = await snapshot(1)
  let delta = base
  let records = 0
  let cpu = 0
  for (let id = 2; id < 5; id++) {
    const end = forMs(1_000)
    delta = await snapshot(id)
    const rest = await run(end)
    records += delta.during.records + rest.records
    cpu += delta.during.cpu + rest.cpu
  }
  return {
    keys: keyCount,
    rowsPerCpuSecond: Math.round(without.rate),
    quiet: { worstMs: round(without.worstMs), p99Ms: round(without.p99Ms) },
    base: summary(base),
    delta: summary(delta),
    /** Of the throughput, with a checkpoint each second and a tenth of the keys dirty. */
    lossPercent: round(100 * (1 - records / cpu / without.rate)),
  }
}
const summary = ({
  pauseMs,
  during,
  bytes,
  walkMs,
}: {
  pauseMs: number
  during: { rate: number; worstMs: number; p99Ms: number }
  bytes: number
  walkMs: number
}) => ({
  barrierMs: round(pauseMs),
  walkMs: round(walkMs),
  bytes,
  rowsPerCpuSecond: Math.round(during.rate),
  worstTurnMs: round(during.worstMs),
  p99TurnMs: round(during.p99Ms),
})

const result = {
  name: 'state',
  updates: (process.argv[3] ? [Number(process.argv[3])] : [1e3, 1e5, 1e6]).map(updates),
  checkpoint: await checkpoints(1e6),
  node: process.version,
  cpus: cpus().length,
}
process.stdout.write(`${JSON.stringify(result)}\n`)
