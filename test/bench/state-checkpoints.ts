/**
 * What checkpoints cost a task with many keys, a tenth of them dirty: pairs of stretches, with a checkpoint each second and without, in
 * turns, and in alternating order within a pair. Records go on while a snapshot is walked, as in a slot's loop: a frame, then a turn of
 * the event loop.
 */
import { systemClock } from '#core/clock.js'
import type { HeapKeyedStateBackend } from '#taskmanager/state/heap-keyed-state-backend.js'
import { cpuMs, hundredths, median } from './measure.js'
import { FRAME, type Frame, fill, frames, newBackend, newEdit, rows, updateFrame } from './state-workload.js'

/** A second each. */
const INTERVALS_A_STRETCH = 2
const DIRTY = 10
const HOT_FRAMES = 1_000

interface Stretch {
  readonly records: number
  readonly cpuSeconds: number
  readonly worstTurnMs: number
  readonly p99TurnMs: number
}
interface Snapshot {
  readonly barrierMs: number
  readonly walkMs: number
  readonly bytes: number
  readonly during: Stretch
}

export async function checkpointCost(options: { readonly keys: number; readonly pairs: number; readonly intervalMs: number }) {
  const { keys, pairs, intervalMs } = options
  const task = new Task(keys)
  await task.run(lasting(intervalMs))
  const base = await task.checkpoint()
  const deltas: Snapshot[] = []
  const losses: number[] = []
  const rates: number[] = []
  const quiet: Stretch[] = []
  const without = async () => {
    const stretch = await task.run(lasting(INTERVALS_A_STRETCH * intervalMs))
    quiet.push(stretch)
    return rateOf([stretch])
  }
  const withCheckpoints = async () => {
    const stretches: Stretch[] = []
    for (let i = 0; i < INTERVALS_A_STRETCH; i++) {
      const isOver = lasting(intervalMs)
      const snapshot = await task.checkpoint()
      deltas.push(snapshot)
      stretches.push(snapshot.during, await task.run(isOver))
    }
    return rateOf(stretches)
  }
  for (let pair = 0; pair < pairs; pair++) {
    const first = await (pair % 2 === 0 ? without() : withCheckpoints())
    const second = await (pair % 2 === 0 ? withCheckpoints() : without())
    const [plain, loaded] = pair % 2 === 0 ? [first, second] : [second, first]
    rates.push(plain)
    losses.push(100 * (1 - loaded / plain))
  }
  return {
    keys,
    dirtyPercent: DIRTY,
    intervalMs,
    pairs,
    rowsPerCpuSecond: Math.round(median(rates)),
    /** Of the records per CPU second, median of the pairs. */
    lossPercent: hundredths(median(losses)),
    lossPercentMin: hundredths(Math.min(...losses)),
    lossPercentMax: hundredths(Math.max(...losses)),
    quiet: { worstTurnMs: medianOf(quiet, (s) => s.worstTurnMs), p99TurnMs: medianOf(quiet, (s) => s.p99TurnMs) },
    base: summary([base]),
    /** Medians; now and then one is a base again. */
    delta: {
      ...summary(deltas),
      barrierMaxMs: maxOf(deltas, (d) => d.barrierMs),
      worstTurnMaxMs: maxOf(deltas, (d) => d.during.worstTurnMs),
    },
  }
}

class Task {
  readonly #backend: HeapKeyedStateBackend = newBackend()
  readonly #work: (frame: Frame) => void
  readonly #hot: readonly Frame[]
  #checkpoints = 0
  constructor(keys: number) {
    const edit = newEdit()
    const state = this.#backend.state(rows)
    fill(this.#backend, state, keys, edit)
    this.#work = updateFrame(this.#backend, state, edit)
    this.#hot = frames(keys / DIRTY, HOT_FRAMES, DIRTY)
  }
  async run(isOver: () => boolean): Promise<Stretch> {
    const start = cpuMs()
    const turns: number[] = []
    let last = systemClock.monotonicMs()
    while (!isOver()) {
      this.#work(this.#hot[turns.length % HOT_FRAMES]!)
      await new Promise<void>((resolve) => systemClock.defer(resolve))
      const now = systemClock.monotonicMs()
      turns.push(now - last)
      last = now
    }
    const cpuSeconds = (cpuMs() - start) / 1000
    turns.sort((a, b) => a - b)
    return {
      records: turns.length * FRAME,
      cpuSeconds,
      worstTurnMs: turns.at(-1) ?? 0,
      p99TurnMs: turns[Math.floor(turns.length * 0.99)] ?? 0,
    }
  }
  /** Runs until it is complete. */
  async checkpoint(): Promise<Snapshot> {
    const id = ++this.#checkpoints
    const barrier = systemClock.monotonicMs()
    const cpuAtBarrier = cpuMs()
    const { done } = this.#backend.snapshot(id)
    const barrierMs = systemClock.monotonicMs() - barrier
    const barrierCpu = (cpuMs() - cpuAtBarrier) / 1000
    let isDone = false
    const result = done.finally(() => {
      isDone = true
    })
    const during = await this.run(() => isDone)
    this.#backend.notifyCheckpointComplete(id)
    const walkMs = systemClock.monotonicMs() - barrier
    const { checkpointedBytes } = await result
    return { barrierMs, walkMs, bytes: checkpointedBytes, during: { ...during, cpuSeconds: during.cpuSeconds + barrierCpu } }
  }
}

function lasting(ms: number): () => boolean {
  const end = systemClock.monotonicMs() + ms
  return () => systemClock.monotonicMs() >= end
}
function rateOf(stretches: readonly Stretch[]): number {
  const sum = (of: (stretch: Stretch) => number) => stretches.reduce((total, stretch) => total + of(stretch), 0)
  return sum((s) => s.records) / sum((s) => s.cpuSeconds)
}
function summary(snapshots: readonly Snapshot[]) {
  return {
    barrierMs: medianOf(snapshots, (s) => s.barrierMs),
    walkMs: medianOf(snapshots, (s) => s.walkMs),
    bytes: medianOf(snapshots, (s) => s.bytes),
    rowsPerCpuSecond: Math.round(medianOf(snapshots, (s) => rateOf([s.during]))),
    worstTurnMs: medianOf(snapshots, (s) => s.during.worstTurnMs),
    p99TurnMs: medianOf(snapshots, (s) => s.during.p99TurnMs),
  }
}
function medianOf<T>(samples: readonly T[], figure: (sample: T) => number): number {
  return hundredths(median(samples.map(figure)))
}
function maxOf<T>(samples: readonly T[], figure: (sample: T) => number): number {
  return hundredths(Math.max(...samples.map(figure)))
}
