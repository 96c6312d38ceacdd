/**
 * Numbers, round after round of KEYS keys, counted by key, each count written exactly once to OUTPUT, until the file STOP exists: a job
 * that runs for as long as a test needs it, whose right output is known. With n rounds, key k has the lines 'k 1' … 'k n'.
 * usage: steady-counts KEYS STOP OUTPUT
 */
import { existsSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import {
  type Collector,
  fetchingReader,
  fileSink,
  formats,
  type KeyedContext,
  KeyedProcessFunction,
  type Source,
  StreamExecutionEnvironment,
  valueState,
} from 'flott'

const [keys = '10', stop = '', output = ''] = process.argv.slice(2)

interface Rounds {
  readonly splitId: string
  readonly next: number
}
const rounds: Source<{ key: number }, Rounds, { assigned: boolean }> = {
  boundedness: 'bounded',
  createReader: (ctx) =>
    fetchingReader(ctx, async (split: Rounds, signal) => {
      await pause(10, undefined, { signal })
      if (existsSync(stop)) return { records: [], next: null }
      return { records: Array.from({ length: Number(keys) }, (_, key) => ({ key })), next: { ...split, next: split.next + 1 } }
    }),
  createEnumerator(ctx, restored) {
    let assigned = restored?.assigned ?? false
    return {
      start() {
        if (!assigned) ctx.assignSplit({ splitId: 'rounds', next: 0 })
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
  processElement(record: { key: number }, _ctx: KeyedContext<number>, out: Collector<string>) {
    out.collect(`${record.key} ${++this.#count.value}`)
  }
}

const env = StreamExecutionEnvironment.getExecutionEnvironment({ 'execution.checkpointing.interval': '250 ms' })
env.fromSource(rounds, 'rounds').keyBy('key').process(new Count(), 'counts').sinkTo(fileSink(output, formats.lines), 'files')
await env.execute('steady counts')
