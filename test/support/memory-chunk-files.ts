import type { ChunkFiles } from '#taskmanager/localbackup/local-backup.js'

/** Files that are none. */
export class MemoryChunkFiles implements ChunkFiles {
  readonly files = new Map<string, Uint8Array>()
  failing = false

  async write(name: string, bytes: Uint8Array): Promise<void> {
    if (this.failing) throw new Error('no space left on device')
    this.files.set(name, Uint8Array.from(bytes))
  }
  async read(name: string): Promise<Uint8Array> {
    const bytes = this.files.get(name)
    if (!bytes || this.failing) throw new Error(`no file ${name}`)
    return Uint8Array.from(bytes)
  }
  async remove(name: string): Promise<void> {
    this.files.delete(name)
  }
  async close(): Promise<void> {
    this.files.clear()
  }
}
