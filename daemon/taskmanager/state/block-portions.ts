/** A block whose values are large (whole collections, long texts) as several of bounded size, so that chunks stay small and many. */
import type { Block } from './chunk-format.js'

/** What a value that is no text and no collection is taken for: states of these need no cutting, they have some thousand entries a block. */
const SMALL_BYTES = 16

export function* portions(block: Block, bytesMax: number): Generator<Block> {
  const { values, count } = block
  if (values === undefined || !isSizable(values[0])) return yield block
  let from = 0
  let bytes = 0
  for (let i = 0; i < count; i++) {
    const size = roughBytes(values[i])
    if (bytes > 0 && bytes + size > bytesMax) {
      yield portion(block, from, i)
      from = i
      bytes = 0
    }
    bytes += size
  }
  yield from === 0 ? block : portion(block, from, count)
}

/** What large values come to, about; 0 where they are of another kind. */
export function sizableBytes(values: readonly unknown[], from: number, to: number): number {
  if (from === to || !isSizable(values[from])) return 0
  let bytes = 0
  for (let i = from; i < to; i++) bytes += roughBytes(values[i])
  return bytes
}

function portion(block: Block, from: number, to: number): Block {
  const { hashes, keys, values } = block
  const part = { count: to - from, hashes: Int32Array.from({ length: to - from }, (_, i) => hashes[from + i]!) }
  return { ...block, ...part, keys: keys.slice(from, to), values: values!.slice(from, to) }
}

function isSizable(value: unknown): boolean {
  return typeof value === 'string' || value instanceof Map || value instanceof Set || Array.isArray(value) || ArrayBuffer.isView(value)
}

/** A collection's items are taken to be like its first one. */
function roughBytes(value: unknown): number {
  if (typeof value === 'string') return value.length
  if (Array.isArray(value)) return value.length * roughBytes(value[0])
  if (ArrayBuffer.isView(value)) return value.byteLength
  if (value instanceof Set) return value.size * roughBytes(first(value))
  if (!(value instanceof Map)) return SMALL_BYTES
  const [key, item] = first(value) ?? []
  return value.size * (roughBytes(key) + roughBytes(item))
}

function first<T>(items: Iterable<T>): T | undefined {
  for (const item of items) return item
  return undefined
}
