/** The tags of value-codec.ts, where the layout is described. They are on disk: never reuse or renumber. */
export const Tag = {
  Undefined: 0x00,
  Null: 0x01,
  False: 0x02,
  True: 0x03,
  Int32: 0x04,
  Double: 0x05,
  Ascii: 0x06,
  Utf8: 0x07,
  Utf16: 0x08,
  Bigint: 0x09,
  Array: 0x0a,
  NewShape: 0x0b,
  Shape: 0x0c,
  NewShapeNoPrototype: 0x0d,
  ShapeNoPrototype: 0x0e,
  Map: 0x0f,
  Set: 0x10,
  Date: 0x11,
  TypedArray: 0x12,
  ArrayBuffer: 0x13,
  Hole: 0x14,
  ShortAscii: 0x40,
  SmallInt: 0x80,
} as const

/** A typed array's kind is its index here: append only. */
export const TYPED_ARRAYS = [
  Uint8Array,
  Int8Array,
  Uint8ClampedArray,
  Uint16Array,
  Int16Array,
  Uint32Array,
  Int32Array,
  Float32Array,
  Float64Array,
  BigUint64Array,
  BigInt64Array,
  Buffer,
] as const

/** Deeper values are taken for cycles. */
export const VALUE_DEPTH_MAX = 500
