/** Records per second through map, filter, map, filter, map on integers: generated code against the plain classes, eight chains warm. */
import { systemClock } from '#core/clock.js'
import type { ResultPartition } from '#taskmanager/exchange/exchange.js'
import type { OperatorChain } from '#taskmanager/task/operator-chain.js'
import { batchOf, makeChain } from '../support/chains.js'
import { hundredths, report } from './measure.js'

const BATCH = 512
const WARM_CHAINS = 8

function summing(): ResultPartition & { sum: number } {
  return {
    sum: 0,
    edgeId: 'bench',
    isBackPressured: false,
    numBytesOut: 0,
    numRecordsOut: 0,
    emit(value: unknown) {
      this.sum += value as number
    },
    broadcastEvent() {},
    flush() {},
    drain: () => true,
    close() {},
  }
}

function chainOf(link: 'generated' | 'classes', n: number): OperatorChain {
  return makeChain({
    operators: [
      { kind: 'map', f: new Function('x', `return (x + ${n}) | 0`) as (x: never) => number },
      { kind: 'filter', f: new Function('x', `return (x & ${n + 7}) !== 0`) as (x: never) => boolean },
      { kind: 'map', f: new Function('x', `return (x * ${n + 3}) | 0`) as (x: never) => number },
      { kind: 'filter', f: new Function('x', `return x % ${n + 11} !== 0`) as (x: never) => boolean },
      { kind: 'map', f: new Function('x', `return (x ^ ${n}) | 0`) as (x: never) => number },
    ],
    outputs: [{ operator: 4, partition: summing() }],
    link,
  }).chain
}

function measure(link: 'generated' | 'classes', records: number): number {
  const chains = Array.from({ length: WARM_CHAINS }, (_, n) => chainOf(link, n))
  const batch = batchOf(Array.from({ length: BATCH }, (_, i) => i))
  for (const chain of chains) for (let i = 0; i < 200; i++) chain.processBatch(batch, 0)
  const [chain] = chains
  const start = systemClock.monotonicMs()
  for (let done = 0; done < records; done += BATCH) chain!.processBatch(batch, 0)
  return (records / (systemClock.monotonicMs() - start)) * 1_000
}

const generated = [1, 2, 3].map(() => measure('generated', 20_000_000)).sort((a, b) => a - b)[1]!
const classes = [1, 2, 3].map(() => measure('classes', 3_000_000)).sort((a, b) => a - b)[1]!
report('generated-chain', {
  generatedOpsPerSecond: Math.round(generated),
  classOpsPerSecond: Math.round(classes),
  ratio: hundredths(generated / classes),
})
