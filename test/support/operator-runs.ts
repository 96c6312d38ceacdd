import type { KeySelector, OperatorDefinition } from '#core/functions/operator-definition.js'
import { stableId } from '#core/ids.js'
import { keyHash } from '#core/serialization/key-hash.js'
import type { SubtaskState } from '#protocol/checkpoint/manifest.js'
import { keySelectorOf } from '#taskmanager/operators/key-selector.js'
import { batchOf, makeChain, RecordingPartition } from './chains.js'
import { FakeClock } from './fake-clock.js'

export type Input =
  | { readonly record: unknown; readonly timestamp?: number }
  | { readonly watermark: number }
  /** Processing time passes. */
  | { readonly passed: number }

export interface RunResult {
  readonly main: readonly { value: unknown; timestamp: number }[]
  readonly side: readonly unknown[]
  readonly watermarks: readonly number[]
}

export type Way = 'record by record' | 'in batches' | 'restored after every input'
export const WAYS: readonly Way[] = ['record by record', 'in batches', 'restored after every input']

/**
 * One keyed operator on an input, in one of several ways that must not make a difference. `define` makes a new definition for each
 * instance, since an instance serves one attempt. `sideTag` names the side output that is read.
 */
export async function runKeyed(
  define: () => OperatorDefinition & { readonly key?: KeySelector },
  inputs: readonly Input[],
  way: Way,
  sideTag = 'side',
): Promise<RunResult> {
  const clock = new FakeClock(0)
  const main = new RecordingPartition()
  const side = new RecordingPartition()
  const chunks = new Map<string, Uint8Array>()
  const { key } = define()
  const keyOf = key ? keySelectorOf(key) : () => 0
  let checkpointId = 0
  const start = async (state?: SubtaskState) => {
    const { chain } = makeChain({
      operators: [{ ...define(), uid: 'operator' }],
      outputs: [
        { operator: 0, partition: main },
        { operator: 0, tag: sideTag, partition: side },
      ],
      clock,
      chunks,
      ...(state ? { restored: { checkpointId, operators: { [stableId('operator')]: [state] }, parallelism: 1 } } : {}),
    })
    await chain.open()
    return chain
  }
  let chain = await start()
  let waiting: { value: unknown; timestamp: number }[] = []
  const flush = () => {
    if (waiting.length === 0) return
    const values = waiting.map((w) => w.value)
    const hasTimestamps = waiting.some((w) => !Number.isNaN(w.timestamp))
    const timestamps = hasTimestamps ? waiting.map((w) => w.timestamp) : undefined
    chain.processBatch(
      batchOf(
        values,
        timestamps,
        values.map((v) => keyHash(keyOf(v))),
      ),
      0,
    )
    waiting = []
  }
  for (const input of inputs) {
    if ('record' in input) {
      waiting.push({ value: input.record, timestamp: input.timestamp ?? Number.NaN })
      if (way !== 'in batches' || waiting.length === 64) flush()
    } else {
      flush()
      if ('watermark' in input) chain.processWatermark(input.watermark)
      else {
        await clock.advance(input.passed)
        chain.processProcessingTime(clock.now())
      }
    }
    if (way !== 'restored after every input') continue
    checkpointId++
    const [, operator] = chain.operators[0]!
    await operator.prepareSnapshot(checkpointId)
    const taken = operator.snapshot(checkpointId)
    await clock.advance(0) // The walk over the tables takes turns.
    const { keyed = [], operator: inline } = await taken
    await chain.close()
    chain = await start({ subtaskIndex: 0, keyed, ...(inline ? { inline } : {}) })
  }
  flush()
  await chain.close()
  const watermarks = main.events.flatMap((e) => (e.kind === 'watermark' ? [e.timestamp] : []))
  return { main: main.records, side: side.values, watermarks }
}
