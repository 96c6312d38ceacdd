import { Packr } from 'msgpackr'
import type { CheckpointManifest } from './manifest.js'

// Plain maps: readable by any MessagePack tool, and the same bytes for the same manifest.
const packr = new Packr({ useRecords: false, mapsAsObjects: true })

export function encodeManifest(manifest: CheckpointManifest): Uint8Array {
  return packr.pack(manifest)
}

/** Throws where the bytes are no manifest of a version that is known here. */
export function decodeManifest(bytes: Uint8Array): CheckpointManifest {
  const manifest = packr.unpack(bytes) as Partial<CheckpointManifest> | null
  if (typeof manifest !== 'object' || manifest === null || !Array.isArray(manifest.vertices)) throw new Error('not a checkpoint manifest')
  if (manifest.version !== 1) throw new Error(`a checkpoint manifest of version ${manifest.version}, not 1`)
  return manifest as CheckpointManifest
}
