import type { RecordSchema } from '#protocol/frames/schema.js'
import { inferField, widenSchema } from './infer-schema.js'

/** Misfits that are looked at before the schema is made, or widened. */
const SAMPLES = 16
/** After so many schemas an edge lives with its misfits. */
const SCHEMAS_MAX = 64
const PATIENCE_MAX = 1 << 20

/**
 * Follows the records that fit no variant and says when a wider schema is worth it. Where looking at them did not help (they are of
 * too many shapes), it waits four times as long until it looks again, so that misfits cost no more than their encoding.
 */
export class SchemaInference {
  schema: RecordSchema = []
  #wider: RecordSchema = []
  #schemas = 0
  #misfits = 0
  #patience = SAMPLES

  /** Returns the new schema when there is one. */
  sawMisfit(value: unknown): RecordSchema | undefined {
    if (this.#schemas >= SCHEMAS_MAX) return undefined
    this.#misfits++
    if (this.#misfits > this.#patience - SAMPLES) this.#wider = widenSchema(this.#wider, inferField(value))
    if (this.#misfits < this.#patience) return undefined
    this.#misfits = 0
    if (this.#wider === this.schema) {
      this.#patience = Math.min(this.#patience * 4, PATIENCE_MAX)
      return undefined
    }
    this.schema = this.#wider
    this.#schemas++
    return this.schema
  }
}
