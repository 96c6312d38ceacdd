import { FlottError } from '#core/errors.js'
import type { Key } from '#core/functions/functions.js'

/** The key that all handles of a backend refer to. A handle remembers what it found for a serial, so that `state.value++` looks up once. */
export class CurrentKey {
  key: Key | undefined
  hash = 0
  /** Raised with each change of the key; 0: none was ever set. */
  serial = 0

  set(key: Key, hash: number): void {
    // The hash first: strings that differ are compared by their characters, where they are as long.
    if (hash === this.hash && key === this.key && typeof key !== 'object') return
    this.key = key
    this.hash = hash
    this.serial++
  }
  check(): void {
    if (this.serial === 0) throw new FlottError('INVALID_ARGUMENT', 'keyed state is used where there is no current key')
  }
}
