/**
 * Numbers, round after round of KEYS keys, counted by key, each count written exactly once to OUTPUT, until the file STOP exists: a job
 * that runs for as long as a test needs it, whose right output is known. With n rounds, key k has the lines 'k 1' … 'k n'.
 * STOP may hold the number of rounds after which all ends; with several SPLITS, which share the keys, it has to.
 * With STAMPS, the time of each record is appended to the files STAMPS.<subtask>, at once and whatever becomes of the record: a time
 * that no jump of the clock reaches.
 * usage: steady-counts KEYS STOP OUTPUT [SPLITS [STAMPS]]
 */
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import {
  type Collector,
  fetchingReader,
  fileSink,
  formats,
  type KeyedContext,
  KeyedProcessFunction,
  type RuntimeContext,
  type Source,
  StreamExecutionEnvironment,
  valueState,
} from 'flott'

const [keys = '10', stop = '', output = '', splits = '1', stamps] = process.argv.slice(2)
const splitCount = Number(splits)

interface Rounds {
  readonly splitId: string
  /** Its keys are those that leave this remainder. */
  readonly remainder: number
  readonly next: number
}
/** Rounds to make in all: undefined while nobody has said so, 0 for an end at once. */
function lastRound(): number | undefined {
  try {
    return Number(readFileSync(stop, 'utf8'))
  } catch {
    return undefined
  }
}
const rounds: Source<{ key: number }, Rounds, { assigned: boolean }> = {
  boundedness: 'bounded',
  createReader: (ctx) =>
    fetchingReader(ctx, async (split: Rounds, signal) => {
      await pause(10, undefined, { signal })
      const last = lastRound()
      if (last !== undefined && split.next >= last) {
        if (last > 0 && split.next > last)
          throw new Error(`${split.splitId} has made ${split.next} rounds, and should have ended after ${last}`)
        return { records: [], next: null }
      }
      const records = []
      for (let key = split.remainder; key < Number(keys); key += splitCount) records.push({ key })
      return { records, next: { ...split, next: split.next + 1 } }
    }),
  createEnumerator(ctx, restored) {
    let assigned = restored?.assigned ?? false
    return {
      start() {
        for (let i = 0; i < splitCount && !assigned; i++) ctx.assignSplit({ splitId: `rounds ${i}`, remainder: i, next: 0 })
        assigned = true
        ctx.signalNoMoreSplits()
      },
      addReader: (reader) => ctx.signalNoMoreSplits(reader),
      addSplitsBack: (splits) => {
        for (const split of splits) ctx.assignSplit(split)
      },
      snapshotState: () => ({ assigned }),
    }
  },
}

const count = valueState('count', { initial: 0 })
class Count extends KeyedProcessFunction<number, { key: number }, string> {
  readonly #count = this.getState(count)
  #stamps = -1
  override open({ taskInfo }: RuntimeContext) {
    if (stamps !== undefined) this.#stamps = openSync(`${stamps}.${taskInfo.indexOfThisSubtask}`, 'a')
  }
  override close() {
    if (this.#stamps >= 0) closeSync(this.#stamps)
  }
  processElement(record: { key: number }, _ctx: KeyedContext<number>, out: Collector<string>) {
    if (this.#stamps >= 0) writeSync(this.#stamps, `${(performance.timeOrigin + performance.now()).toFixed(1)}\n`)
    out.collect(`${record.key} ${++this.#count.value}`)
  }
}

const env = StreamExecutionEnvironment.getExecutionEnvironment({ 'execution.checkpointing.interval': '250 ms' })
env.fromSource(rounds, 'rounds').keyBy('key').process(new Count(), 'counts').sinkTo(fileSink(output, formats.lines), 'files')
await env.execute('steady counts')
