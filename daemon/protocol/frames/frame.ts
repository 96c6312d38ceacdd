/**
 * What travels through a channel: frames, each in one slot of a ring and unchanged over TCP. Byte 0 is the frame's kind, frames start
 * on 8 bytes, integers are little-endian. Only the two ends of a channel look inside; rings and network move bytes.
 */
export const FrameKind = { Records: 1, Event: 2, Schema: 3, Fragment: 4 } as const
