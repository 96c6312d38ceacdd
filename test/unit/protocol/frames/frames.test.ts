import test from 'ava'
import { encodeFragments, FragmentAssembler } from '#protocol/frames/fragment.js'
import { decodeRecordsHeader, encodeRecordsHeader, RECORDS_HEADER_BYTES, RecordsFlag } from '#protocol/frames/record-batch.js'
import { decodeSchemaFrame, encodeSchemaFrame, type RecordSchema } from '#protocol/frames/schema.js'
import { decodeEventFrame, encodeEventFrame, type StreamEvent } from '#protocol/frames/stream-event.js'

test('each event comes back', (t) => {
  const events: StreamEvent[] = [
    { kind: 'watermark', timestamp: -Infinity },
    { kind: 'watermark', timestamp: 1.7e12 },
    { kind: 'stream-status', idle: true },
    { kind: 'barrier', checkpointId: 7, epoch: '0-1a', timestamp: 5 },
    { kind: 'barrier', checkpointId: 8, epoch: '0-1a', timestamp: 5, savepoint: { terminate: true, drain: false } },
    { kind: 'end-of-data', drain: true },
    { kind: 'end-of-partition' },
    { kind: 'latency-marker', markedTime: 3, operatorId: 'ab', subtaskIndex: 1 },
  ]
  for (const event of events) t.deepEqual(decodeEventFrame(encodeEventFrame(event)), event)
  t.throws(() => decodeEventFrame(encodeSchemaFrame(1, [])), { message: /not an event frame/ })
})

test('a schema comes back', (t) => {
  const schema: RecordSchema = [
    {
      kind: 'object',
      nullable: false,
      names: ['a', '__proto__'],
      fields: [
        { kind: 'int', nullable: true },
        { kind: 'any', nullable: false },
      ],
    },
    { kind: 'array', nullable: false, item: { kind: 'tuple', nullable: true, items: [{ kind: 'string', nullable: false }] } },
  ]
  t.deepEqual(decodeSchemaFrame(encodeSchemaFrame(65_535, schema)), { id: 65_535, schema })
  t.throws(() => decodeSchemaFrame(encodeEventFrame({ kind: 'end-of-partition' })), { message: /not a schema frame/ })
})

test('the header of a record batch comes back, wherever it stands', (t) => {
  const view = new DataView(new ArrayBuffer(64))
  const header = { flags: RecordsFlag.Hashes | RecordsFlag.HeapUtf16, schema: 3, count: 4096, heapOffset: 20_000, heapBytes: 12_000 }
  encodeRecordsHeader(view, 24, header)
  t.deepEqual(decodeRecordsHeader(view, 24), header)
  t.is(view.getUint32(24 + RECORDS_HEADER_BYTES), 0)
})

test('fragments make the frame again', (t) => {
  for (const length of [1, 55, 56, 57, 112, 1000]) {
    const frame = Buffer.from(Array.from({ length }, (_, i) => i & 255))
    const fragments = [...encodeFragments(frame, 64)]
    t.true(fragments.every((fragment) => fragment.length <= 64))
    const assembler = new FragmentAssembler(1000)
    for (const fragment of fragments.slice(0, -1)) t.is(assembler.add(fragment), undefined)
    t.deepEqual(assembler.add(fragments.at(-1)!), frame)
    t.true(assembler.isEmpty)
  }
})

test('a fragment that is missing, or one too many bytes, is noticed', (t) => {
  const fragments = [...encodeFragments(Buffer.alloc(300), 64)]
  const assembler = new FragmentAssembler(300)
  assembler.add(fragments[0]!)
  t.throws(() => assembler.add(fragments[2]!), { message: /missing/ })
  t.throws(() => new FragmentAssembler(299).add(fragments[0]!), { instanceOf: RangeError })
})
