import { FlottError } from '#core/errors.js'
import type { FactStore } from '#protocol/ha/facts.js'
import { type FactNodes, NodeFactStore } from '../node-fact-store.js'

/** Facts in memory, for tests of what uses them. */
export function memoryFactStore(): FactStore {
  const nodes = new Map<string, { readonly bytes: Uint8Array; readonly version: number }>()
  const expect = (node: string, version: number) => {
    const found = nodes.get(node)
    if (found && found.version !== version) throw new FlottError('FACT_CONFLICT', `${node} has version ${found.version}, not ${version}`)
    return found
  }
  const store: FactNodes = {
    async sync() {},
    list: async (folder) => [...nodes.keys()].filter((n) => n.startsWith(`${folder}/`)).map((n) => n.slice(folder.length + 1)),
    read: async (node) => nodes.get(node),
    async create(node, bytes) {
      if (nodes.has(node)) throw new FlottError('FACT_EXISTS', node)
      nodes.set(node, { bytes, version: 0 })
    },
    async set(node, bytes, version) {
      if (!expect(node, version)) throw new FlottError('FACT_NOT_FOUND', node)
      nodes.set(node, { bytes, version: version + 1 })
      return version + 1
    },
    async remove(node, version) {
      if (expect(node, version)) nodes.delete(node)
    },
  }
  return new NodeFactStore(store)
}
