import {
  CREDIT,
  decodeCredit,
  decodeOpen,
  END,
  encodeCredit,
  encodeEnd,
  encodeFrameHeader,
  encodeOpen,
  FRAME,
  FRAME_HEADER_BYTES,
  OPEN,
} from '#taskmanager/network/message-format.js'
import type { DataSocket, DataTransport, SocketHandlers } from '#taskmanager/network/transport.js'

const TYPE_AT = 4
const BODY_AT = 5

/**
 * A network that keeps no account of sequence numbers: after a reconnect the producer goes on behind what it had sent, whether that
 * arrived or not, and its frames are numbered so that the consumer finds nothing missing.
 */
export function unnumbered(transport: DataTransport): DataTransport {
  /** By channel key: frames sent, and how many of them the consumer never missed. */
  const channels = new Map<string, { sent: number; lost: number }>()
  return {
    listen: (host, port, accept) => transport.listen(host, port, (socket) => forgetting(socket, accept, channels)),
    connect: (host, port, handlers) => transport.connect(host, port, handlers),
    stop: () => transport.stop(),
  }
}

function forgetting(
  socket: DataSocket,
  accept: (socket: DataSocket) => SocketHandlers,
  channels: Map<string, { sent: number; lost: number }>,
): SocketHandlers {
  const open = new Map<number, { sent: number; lost: number }>()
  let payloadIsNext = false
  const toConsumer = (bytes: Buffer): Buffer => {
    if (payloadIsNext) {
      payloadIsNext = false
      return bytes
    }
    const type = bytes[TYPE_AT]
    const channel = type === FRAME || type === END ? open.get(bytes.readUInt32LE(BODY_AT)) : undefined
    if (type === FRAME) payloadIsNext = true
    if (!channel) return bytes
    const number = bytes.readUInt32LE(BODY_AT)
    const sequence = bytes.readUInt32LE(BODY_AT + 4)
    if (type === END) return encodeEnd(number, sequence - channel.lost)
    channel.sent = sequence + 1
    return encodeFrameHeader(number, sequence - channel.lost, bytes.readUInt32LE(0) - (FRAME_HEADER_BYTES - TYPE_AT))
  }
  const toProducer = (bytes: Buffer): Buffer => {
    const type = bytes[TYPE_AT]
    const body = bytes.subarray(BODY_AT)
    if (type === OPEN) {
      const { channel: number, received, limit, key } = decodeOpen(body)
      const channel = channels.get(key) ?? { sent: received, lost: 0 }
      channels.set(key, channel)
      open.set(number, channel)
      channel.lost = Math.max(channel.lost, channel.sent - received)
      return encodeOpen({ channel: number, received: received + channel.lost, limit: limit + channel.lost }, key)
    }
    if (type !== CREDIT) return bytes
    const { channel: number, received, limit } = decodeCredit(body)
    const lost = open.get(number)?.lost ?? 0
    return encodeCredit({ channel: number, received: received + lost, limit: limit + lost })
  }
  const handlers = accept({
    get writable() {
      return socket.writable
    },
    get bufferedBytes() {
      return socket.bufferedBytes
    },
    get remoteAddress() {
      return socket.remoteAddress
    },
    write: (bytes) => socket.write(toConsumer(Buffer.from(bytes))),
    cork: () => socket.cork(),
    uncork: () => socket.uncork(),
    end: () => socket.end(),
    destroy: (cause) => socket.destroy(cause),
  })
  return {
    onBytes: (bytes) => handlers.onBytes(toProducer(Buffer.from(bytes))), // The loopback network hands on what was written, piece by piece.
    onDrain: () => handlers.onDrain(),
    onClose: (cause) => handlers.onClose(cause),
  }
}
