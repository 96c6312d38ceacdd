/** pipeline.freeze-records: what was emitted can't be changed any more, so that the line that tries throws. */
export function deepFreeze(value: unknown): void {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value) || ArrayBuffer.isView(value)) return
  Object.freeze(value)
  for (const name of Object.keys(value)) deepFreeze((value as Readonly<Record<string, unknown>>)[name])
}
