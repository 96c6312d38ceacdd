/** Records out to frames and back, against msgpackr and v8.serialize on the same records. Run: node dist/test/bench/codec.bench.js */
import { deserialize, serialize } from 'node:v8'
import { Packr } from 'msgpackr'
import type { InputGate, ResultPartition } from '#taskmanager/exchange/exchange.js'
import { exchangePair } from '../support/exchange-pair.js'
import { cpuMs, inTurn, median, ratio, report, type Sample } from './measure.js'

const COUNT = 16_384
const BATCH = 512
const click = (i: number): object => ({
  user: `u${10_000 + (i % 50_000)}`,
  price: i % 1000,
  ts: 1.7e12 + i,
  url: `https://shop.example/item/${1000 + (i % 9000)}`,
})
const times = <T>(count: number, make: (i: number) => T): T[] => Array.from({ length: count }, (_, i) => make(i))
const records = {
  ascii: times(COUNT, click),
  misfits: times(COUNT, (i) => (i % 100 === 99 ? { [`other${i}`]: i, ...click(i) } : click(i))),
  wide: times(COUNT, (i) => ({ ...click(i), url: `https://obchod.example/zboží/${1000 + (i % 9000)}` })),
}

/** One codec: encodes and decodes batches; times both on their own. */
function batches(encode: (batch: object[]) => Uint8Array, decode: (bytes: Uint8Array) => unknown) {
  const parts = times(COUNT / BATCH, (i) => records.ascii.slice(i * BATCH, (i + 1) * BATCH))
  return { encode: () => timed(() => parts.map(encode)), decode: (encoded: Uint8Array[]) => timed(() => encoded.forEach(decode)) }
}
function timed<R>(run: () => R): { result: R; sample: Sample } {
  const start = cpuMs()
  const result = run()
  return { result, sample: { operations: COUNT, cpuMs: cpuMs() - start } }
}

interface Ours {
  readonly partition: ResultPartition
  readonly gate: InputGate
}
/** A ring with room for all, so that encoding and decoding are timed apart. */
function ours(): Ours {
  const { partitions, gates } = exchangePair({ partitioner: 'forward', ring: { slots: 64 } })
  return { partition: partitions[0]!, gate: gates[0]! }
}
function send({ partition }: Ours, values: readonly unknown[]): Sample {
  return timed(() => {
    for (let i = 0; i < values.length; i++) partition.emit(values[i], Number.NaN)
    partition.flush()
    if (partition.isBackPressured) throw new Error('the ring is too small for the benchmark')
  }).sample
}
function receive({ gate }: Ours): Sample {
  return timed(() => {
    let count = 0
    for (let polled = gate.poll(); polled; polled = gate.poll()) if (polled.kind === 'records') count += polled.batch.count
    if (count !== COUNT) throw new Error(`${count} records came`)
  }).sample
}

const packr = new Packr({ structures: [] })
const msgpackr = batches(
  (batch) => packr.pack(batch),
  (bytes) => packr.unpack(bytes),
)
const v8 = batches(serialize, deserialize)
const pairs = { ascii: ours(), misfits: ours(), wide: ours() }
let packed: Uint8Array[] = []
let serialized: Uint8Array[] = []
const rates = inTurn(
  {
    encode: () => send(pairs.ascii, records.ascii),
    decode: () => receive(pairs.ascii),
    msgpackrEncode() {
      const { result, sample } = msgpackr.encode()
      packed = result.map((bytes) => Buffer.from(bytes))
      return sample
    },
    msgpackrDecode: () => msgpackr.decode(packed).sample,
    v8Encode() {
      const { result, sample } = v8.encode()
      serialized = result
      return sample
    },
    v8Decode: () => v8.decode(serialized).sample,
    misfitsEncode: () => send(pairs.misfits, records.misfits),
    misfitsDecode: () => receive(pairs.misfits),
    wideEncode: () => send(pairs.wide, records.wide),
    wideDecode: () => receive(pairs.wide),
  },
  40,
  20,
)
const { partition } = pairs.ascii
report('codec', {
  unit: 'M records per CPU second, medians',
  ...Object.fromEntries(Object.entries(rates).map(([name, all]) => [name, round(median(all) / 1e6)])),
  encodeToMsgpackr: round(ratio(rates['encode']!, rates['msgpackrEncode']!)),
  decodeToMsgpackr: round(ratio(rates['decode']!, rates['msgpackrDecode']!)),
  bytesPerRecord: round(partition.numBytesOut / partition.numRecordsOut),
})

function round(figure: number): number {
  return Math.round(figure * 100) / 100
}
