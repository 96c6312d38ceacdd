import test from 'ava'
import {
  BROKEN,
  decodeCredit,
  decodeHello,
  decodeOpen,
  encodeBroken,
  encodeCredit,
  encodeEnd,
  encodeFrameHeader,
  encodeHello,
  encodeOpen,
  MessageReader,
} from '#taskmanager/network/message-format.js'

test('messages and frames are read the same whatever pieces they come in', (t) => {
  const frames = [Buffer.alloc(0), Buffer.from('x'), Buffer.alloc(1_000, 7)]
  const sent = Buffer.concat([
    encodeHello('tm-1'),
    encodeOpen({ channel: 3, received: 4_294_967_295, limit: 7 }, 'key ü'),
    ...frames.flatMap((frame, i) => [encodeFrameHeader(3, i, frame.length), frame]),
    encodeCredit({ channel: 3, received: 1, limit: 9 }),
    encodeEnd(3, 3),
    encodeBroken(4, 'why'),
  ])
  const read = (pieceBytes: number): string[] => {
    const log: string[] = []
    let target = Buffer.alloc(0)
    const reader = new MessageReader({
      beginFrame: (channel, sequence, bytes) => {
        target = Buffer.alloc(bytes)
        log.push(`frame ${channel} ${sequence} ${bytes}`)
        return target
      },
      endFrame: () => log.push(`end ${target.toString('hex').slice(0, 20)} ${target.every((byte) => byte === target[0])}`),
      message: (type, body) => log.push(`${type} ${body.toString('hex')}`),
    })
    for (let at = 0; at < sent.length; at += pieceBytes) reader.read(sent.subarray(at, at + pieceBytes))
    return log
  }
  const whole = read(sent.length)
  t.is(whole.length, 11)
  for (let pieceBytes = 1; pieceBytes < 40; pieceBytes++) t.deepEqual(read(pieceBytes), whole)
})

test('round trips', (t) => {
  const body = (bytes: Buffer) => bytes.subarray(5)
  t.is(decodeHello(body(encodeHello('tm ü'))), 'tm ü')
  t.deepEqual(decodeOpen(body(encodeOpen({ channel: 1, received: 2, limit: 3 }, '["e","p","c"]'))), {
    channel: 1,
    received: 2,
    limit: 3,
    key: '["e","p","c"]',
  })
  t.deepEqual(decodeCredit(body(encodeCredit({ channel: 1, received: 4_000_000_000, limit: 3 }))), {
    channel: 1,
    received: 4_000_000_000,
    limit: 3,
  })
  t.is(encodeBroken(1, 'x')[4], BROKEN)
})

test('what is no message throws', (t) => {
  const reader = () => new MessageReader({ beginFrame: () => undefined, endFrame: () => {}, message: () => {} })
  t.throws(() => reader().read(Buffer.from('GET / HTTP/1.1')))
  t.throws(() => reader().read(Buffer.alloc(5)))
  t.throws(() => reader().read(Buffer.from([2, 0, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0])))
  t.throws(() => decodeHello(Buffer.from('nonsense')))
})
