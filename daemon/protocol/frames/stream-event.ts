/** An event in band: watermark, barrier, end of input. u8 kind | 7 unused bytes | the event as a general value. */
import { decodeValue, encodeValue } from '#core/serialization/value-codec.js'
import { FrameKind } from './frame.js'

export type StreamEvent =
  | { readonly kind: 'watermark'; readonly timestamp: number }
  | { readonly kind: 'stream-status'; readonly idle: boolean }
  | {
      readonly kind: 'barrier'
      readonly checkpointId: number
      readonly epoch: string
      readonly timestamp: number
      readonly savepoint?: { readonly terminate: boolean; readonly drain: boolean }
    }
  /** All records have been sent; flush and pre-commit. */
  | { readonly kind: 'end-of-data'; readonly drain: boolean }
  /** Nothing will ever follow; sent after the notification of a checkpoint begun after end-of-data. */
  | { readonly kind: 'end-of-partition' }
  | { readonly kind: 'latency-marker'; readonly markedTime: number; readonly operatorId: string; readonly subtaskIndex: number }

const HEADER_BYTES = 8

export function encodeEventFrame(event: StreamEvent): Buffer {
  const body = encodeValue(event)
  const frame = Buffer.alloc(HEADER_BYTES + body.length)
  frame[0] = FrameKind.Event
  frame.set(body, HEADER_BYTES)
  return frame
}
export function decodeEventFrame(frame: Uint8Array): StreamEvent {
  if (frame[0] !== FrameKind.Event) throw new Error(`not an event frame: kind ${frame[0]}`)
  return decodeValue(frame.subarray(HEADER_BYTES)) as StreamEvent
}
