import test from 'ava'
import { accumulator } from '#core/functions/accumulator.js'
import { aggregates } from '#core/functions/aggregates.js'
import { type Collector, type Context, ProcessFunction } from '#core/functions/functions.js'
import type { RuntimeContext } from '#core/functions/runtime-context.js'
import { stableId } from '#core/ids.js'
import { listState } from '#core/state/state.js'
import type { SubtaskState } from '#protocol/checkpoint/manifest.js'
import { batchOf, makeChain, RecordingPartition } from '../support/chains.js'

const total = accumulator(
  'total',
  aggregates.sum((n: number) => n),
)

class Remembering extends ProcessFunction<number, number> {
  readonly split = this.getOperatorState(listState<number>('split'))
  readonly union = this.getOperatorState(listState<number>('union'), 'union')
  readonly life: string[] = []
  #runtime!: RuntimeContext
  override open(ctx: RuntimeContext): void {
    this.#runtime = ctx
    this.life.push(`open ${[...this.split].join()} | ${[...this.union].join()}`)
  }
  processElement(record: number, _ctx: Context, out: Collector<number>): void {
    this.split.add(record)
    this.#runtime.metrics.counter('seen').inc()
    this.#runtime.accumulator(total).add(record)
    out.collect(record)
  }
  override snapshotState(checkpointId: number): void {
    this.union.update([checkpointId * 100 + this.#runtime.taskInfo.indexOfThisSubtask])
  }
  override notifyCheckpointComplete(checkpointId: number): void {
    this.life.push(`complete ${checkpointId}`)
  }
  override close(): void {
    this.life.push('close')
  }
}

/** Of the state that its predecessor had it knows one list. */
class Forgetful extends ProcessFunction<number, number> {
  readonly split = this.getOperatorState(listState<number>('split'))
  processElement(): void {}
}

async function run(
  f: ProcessFunction<number, number>,
  index: number,
  parallelism: number,
  records: readonly number[],
  restored?: { states: readonly SubtaskState[]; parallelism: number; allowNonRestoredState?: true },
) {
  const made = makeChain({
    operators: [{ kind: 'process', uid: 'memory', f: f as never }],
    outputs: [{ operator: 0, partition: new RecordingPartition() }],
    subtask: { index, parallelism },
    ...(restored ? { restored: { ...restored, checkpointId: 1, operators: { [stableId('memory')]: restored.states } } } : {}),
  })
  await made.chain.open()
  made.chain.processBatch(batchOf(records), 0)
  const [, operator] = made.chain.operators[0]!
  const { operator: inline, union } = await operator.snapshot(1)
  const state: SubtaskState = { subtaskIndex: index, keyed: [], inline: inline!, ...(union ? { union } : {}) }
  return { ...made, operator, state }
}

test('a rich function: life, counters, accumulators', async (t) => {
  const f = new Remembering()
  const { chain, operator, runtime, state } = await run(f, 0, 1, [1, 2, 3])
  await operator.notifyCheckpointComplete(1)
  await chain.close()
  t.deepEqual(f.life, ['open  | ', 'complete 1', 'close'])
  t.deepEqual(runtime.userMetrics(), { seen: 3 })
  t.deepEqual(runtime.accumulators(), { total: { kind: 'custom', value: { sum: 6 } } })
  t.true(state.union)
})

test('split lists are dealt out, union lists are given to all', async (t) => {
  const states = [(await run(new Remembering(), 0, 2, [1, 2, 3])).state, (await run(new Remembering(), 1, 2, [4])).state]
  const opened = async (parallelism: number) => {
    const lives: string[] = []
    for (let index = 0; index < parallelism; index++) {
      const f = new Remembering()
      await run(f, index, parallelism, [], { states, parallelism: 2 })
      lives.push(f.life[0]!)
    }
    return lives
  }
  t.deepEqual(await opened(2), ['open 1,2,3 | 100,101', 'open 4 | 100,101'])
  t.deepEqual(await opened(3), ['open 1,4 | 100,101', 'open 2 | 100,101', 'open 3 | 100,101'])
  t.deepEqual(await opened(1), ['open 1,2,3,4 | 100,101'])
})

test('what is not declared any more is an error that names it, unless it may be left behind', async (t) => {
  const states = [(await run(new Remembering(), 0, 1, [1, 2])).state]
  await t.throwsAsync(run(new Forgetful(), 0, 1, [], { states, parallelism: 1 }), { code: 'STATE_NOT_RESTORED', message: /'union'/ })
  const f = new Forgetful()
  await run(f, 0, 1, [], { states, parallelism: 1, allowNonRestoredState: true })
  t.deepEqual([...f.split], [1, 2])
})
