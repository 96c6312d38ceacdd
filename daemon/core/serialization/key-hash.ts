/**
 * From a key to the subtask that owns it. The sender hashes once and the hash travels with the record; the key group takes its upper
 * bits, hash tables its lower ones, so that the keys of one subtask still spread over a table. A key's hash is part of the snapshot
 * format: it must never change.
 */
import { FlottError } from '../errors.js'
import type { Key } from '../functions/functions.js'

/** Equal keys (see keysEqual) have equal hashes. KEY_UNSUPPORTED for null, undefined, NaN, objects, nested tuples. */
export function keyHash(key: Key): number {
  if (typeof key === 'string') return hashString(key)
  if (typeof key === 'number') return hashNumber(key)
  return hashOther(key)
}

/** Tuples part by part, everything else by ===; so 0 equals -0. */
export function keysEqual(a: Key, b: Key): boolean {
  if (a === b) return true
  if (!Array.isArray(a) || !Array.isArray(b) || a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}

export function hashString(text: string): number {
  let h = 0
  for (let i = 0; i < text.length; i++) h = (Math.imul(h, 31) + text.charCodeAt(i)) | 0
  return fmix32(h)
}

const double = new Float64Array(1)
const halves = new Int32Array(double.buffer)

export function hashNumber(value: number): number {
  const int = value | 0
  if (int === value) return fmix32(int) // Also -0, which is equal to 0.
  if (Number.isNaN(value)) throw unsupported('NaN')
  double[0] = value
  return fmix32(Math.imul(halves[1]!, 31) ^ halves[0]!)
}

function hashOther(key: Key): number {
  if (typeof key === 'boolean') return fmix32(key ? 1231 : 1237)
  if (typeof key === 'bigint') return hashBigint(key)
  if (!Array.isArray(key)) throw unsupported(key === null ? 'null' : typeof key)
  let h = TUPLE_START
  for (let i = 0; i < key.length; i++) h = hashTupleNext(h, key[i])
  return fmix32(h)
}

/** The hash of a tuple step by step, for code that does not make the tuple: start, next for each part, fmix32 at the end. */
export const TUPLE_START = 1
export function hashTupleNext(hash: number, part: unknown): number {
  if (typeof part === 'string') return (Math.imul(hash, 31) + hashString(part)) | 0
  if (Array.isArray(part)) throw unsupported('a tuple within a tuple')
  return (Math.imul(hash, 31) + keyHash(part as Key)) | 0
}

function hashBigint(value: bigint): number {
  if (BigInt.asIntN(64, value) !== value) return hashString(value.toString())
  return fmix32(Math.imul(Number(BigInt.asIntN(32, value >> 32n)), 31) ^ Number(BigInt.asIntN(32, value)))
}

/** The finalizer of MurmurHash3: every input bit reaches every output bit. */
export function fmix32(hash: number): number {
  let h = hash
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) | 0
}

function unsupported(what: string): FlottError {
  return new FlottError('KEY_UNSUPPORTED', `${what} can not be a key: a key is a string, number, boolean, bigint or a tuple of them`)
}

/** In [0, maxParallelism), where maxParallelism is 32768 at most. From the upper 16 bits. */
export function keyGroupOf(hash: number, maxParallelism: number): number {
  return ((hash >>> 16) * maxParallelism) >>> 16
}

/** Which subtask owns a key group (Flink: KeyGroupRangeAssignment.computeOperatorIndexForKeyGroup). */
export function operatorIndexOf(keyGroup: number, maxParallelism: number, parallelism: number): number {
  return Math.floor((keyGroup * parallelism) / maxParallelism)
}

/** First and last key group of a subtask, both included; `end` is below `start` where parallelism is above maxParallelism. */
export interface KeyGroupRange {
  readonly start: number
  readonly end: number
}

/** The inverse of operatorIndexOf (Flink: computeKeyGroupRangeForOperatorIndex). */
export function keyGroupRangeOf(subtaskIndex: number, maxParallelism: number, parallelism: number): KeyGroupRange {
  return {
    start: Math.ceil((subtaskIndex * maxParallelism) / parallelism),
    end: Math.ceil(((subtaskIndex + 1) * maxParallelism) / parallelism) - 1,
  }
}
