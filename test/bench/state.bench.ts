/**
 * Keyed state: updates per CPU second of a counter per string key (a frame's entries are touched first), against a Map; what a checkpoint
 * each second costs with a million keys; and what a restore costs before the first record. Run: node dist/test/bench/state.bench.js [seconds a figure] [keys] [pairs]
 */
import { cpuMs, hundredths, report } from './measure.js'
import { checkpointCost } from './state-checkpoints.js'
import { restoreCost } from './state-restores.js'
import {
  FRAME,
  type Frame,
  fill,
  frames,
  keyOf,
  newBackend,
  newEdit,
  newIncrement,
  numbers,
  type Row,
  rows,
  updateFrame,
} from './state-workload.js'

const INTERVAL_MS = 1_000
const [seconds = 1, keys = 1e6, pairs = 11] = process.argv.slice(2).map(Number)

/** Records per CPU second. */
function rate(make: () => Frame[], work: (frame: Frame) => void): number {
  let records = 0
  let cpu = 0
  while (cpu < seconds * 1000) {
    const some = make()
    const start = cpuMs()
    for (const frame of some) work(frame)
    cpu += cpuMs() - start
    records += some.length * FRAME
  }
  return Math.round((records / cpu) * 1000)
}

function updates(keyCount: number) {
  const make = () => frames(keyCount, 200)
  const backend = newBackend()
  const increment = newIncrement()
  const worstMs = fill(backend, backend.state(numbers), keyCount, increment)
  const numeric = rate(make, updateFrame(backend, backend.state(numbers), increment))
  const other = newBackend()
  const edit = newEdit()
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
    worst1000InsertsMs: hundredths(worstMs),
  }
}

report('state', {
  updates: [1e3, 1e5, 1e6].filter((keyCount) => keyCount <= keys).map(updates),
  checkpoint: await checkpointCost({ keys, pairs, intervalMs: INTERVAL_MS * Math.min(1, seconds) }),
  restore: await restoreCost({ keys, rounds: Math.min(pairs, 5) }),
})
