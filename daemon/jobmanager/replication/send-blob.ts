import type { Clock } from '#core/clock.js'
import type { Epoch } from '#core/epoch.js'
import { FlottError } from '#core/errors.js'
import type { BlobInfo, BlobStore, BlobTransfer } from '#protocol/ha/blobs.js'

/** Streams a blob from our disk to another one. Fails when the receiver takes no more for `stallTimeoutMs`; how long the whole takes is its size's affair. */
export async function sendBlob(options: {
  readonly info: BlobInfo
  readonly local: BlobStore
  readonly transfer: BlobTransfer
  readonly address: string
  readonly epoch: Epoch
  readonly clock: Clock
  readonly stallTimeoutMs: number
}): Promise<void> {
  const { address, clock, epoch, info, local, stallTimeoutMs, transfer } = options
  let failed: FlottError | undefined
  let fail: (error: FlottError) => void = () => {}
  const stall = new Promise<never>((_, reject) => {
    fail = reject
  })
  const arm = () =>
    clock.setTimer(stallTimeoutMs, () => {
      failed = new FlottError('REPLICATION_FAILED', `${address} takes no more of ${info.name}`)
      fail(failed)
    })
  let timer = arm()
  async function* content(): AsyncIterable<Uint8Array> {
    for await (const block of local.read(info.name)) {
      yield block
      if (failed) throw failed // The receiver discards what it has.
      timer.cancel()
      timer = arm()
    }
  }
  try {
    const stored = await Promise.race([transfer.put(address, info.name, content(), epoch), stall])
    if (stored.bytes !== info.bytes || stored.crc32 !== info.crc32)
      throw new FlottError('BLOB_CORRUPT', `${address} stored ${stored.bytes} bytes of ${info.name} with crc32 ${stored.crc32}`)
  } finally {
    timer.cancel()
  }
}
