import { FlottError } from '#core/errors.js'
import type { NodeKind, ZooKeeperNode } from '../zookeeper/zookeeper.js'

interface Node {
  data: Buffer
  version: number
  readonly czxid: string
  readonly ephemeralOwner: string | undefined
  /** Number of the next sequential child. */
  nextChild: number
}
/** Tells a session that something changed. Fires once. */
export interface Watch {
  readonly session: string
  readonly fire: () => void
}

/** ZooKeeper's tree in memory: nodes, versions, czxids, watches. Single-threaded, so each call is one transaction. */
export class SimulatedTree {
  readonly #nodes = new Map<string, Node>([
    ['', { data: Buffer.alloc(0), version: 0, czxid: hex(0), ephemeralOwner: undefined, nextChild: 0 }],
  ])
  readonly #dataWatches = new Map<string, Watch[]>()
  readonly #childWatches = new Map<string, Watch[]>()
  #zxid = 0
  /** Told of each transaction: to repeat them in their order makes the same tree. */
  readonly #followers: ((transaction: (tree: SimulatedTree) => void) => void)[] = []
  /** Told of each node that was created, set or removed, in the order of the transactions. */
  observer: (path: string) => void = () => {}

  get zxid(): number {
    return this.#zxid
  }
  follow(take: (transaction: (tree: SimulatedTree) => void) => void): void {
    this.#followers.push(take)
  }
  #done(transaction: (tree: SimulatedTree) => void): void {
    for (const take of this.#followers) take(transaction)
  }

  create(path: string, data: Uint8Array, kind: NodeKind, session: string): string {
    const parentPath = parentOf(path)
    const parent = this.#nodes.get(parentPath)
    if (!parent) throw new FlottError('FACT_NOT_FOUND', parentPath)
    const actual = kind === 'ephemeral-sequential' ? path + String(parent.nextChild).padStart(10, '0') : path
    if (this.#nodes.has(actual)) throw new FlottError('FACT_EXISTS', actual)
    parent.nextChild++
    const ephemeralOwner = kind === 'persistent' ? undefined : session
    this.#nodes.set(actual, { data: Buffer.from(data), version: 0, czxid: hex(++this.#zxid), ephemeralOwner, nextChild: 0 })
    this.#changed(actual, parentPath)
    this.#done((tree) => tree.create(path, data, kind, session))
    return actual
  }

  get(path: string, watch?: Watch): ZooKeeperNode | undefined {
    if (watch) add(this.#dataWatches, path, watch)
    const node = this.#nodes.get(path)
    return node && { data: Buffer.from(node.data), version: node.version, czxid: node.czxid, ephemeralOwner: node.ephemeralOwner }
  }

  children(path: string, watch?: Watch): string[] {
    if (!this.#nodes.has(path)) throw new FlottError('FACT_NOT_FOUND', path)
    if (watch) add(this.#childWatches, path, watch)
    return [...this.#nodes.keys()].filter((p) => p !== '' && parentOf(p) === path).map((p) => p.slice(path.length + 1))
  }

  set(path: string, data: Uint8Array, version: number): number {
    const node = this.#expect(path, version)
    node.data = Buffer.from(data)
    node.version++
    this.#zxid++
    this.observer(path)
    fire(this.#dataWatches, path)
    this.#done((tree) => tree.set(path, data, -1))
    return node.version
  }

  remove(path: string, version: number): void {
    this.#expect(path, version)
    this.#nodes.delete(path)
    this.#zxid++
    this.#changed(path, parentOf(path))
    this.#done((tree) => tree.remove(path, -1))
  }

  /** A session has ended: its nodes go in one transaction, then those who watch them hear of it. */
  endSession(session: string): void {
    this.#zxid++
    this.takeWatches(session)
    const gone = [...this.#nodes].filter(([, node]) => node.ephemeralOwner === session).map(([path]) => path)
    for (const path of gone) this.#nodes.delete(path)
    for (const path of gone) this.#changed(path, parentOf(path))
    this.#done((tree) => tree.endSession(session))
  }

  /** Those of the session, which are watches no more. */
  takeWatches(session: string): readonly Watch[] {
    const taken: Watch[] = []
    for (const watches of [this.#dataWatches, this.#childWatches])
      for (const [path, list] of watches) {
        taken.push(...list.filter((watch) => watch.session === session))
        watches.set(
          path,
          list.filter((watch) => watch.session !== session),
        )
      }
    return taken
  }

  #expect(path: string, version: number): Node {
    const node = this.#nodes.get(path)
    if (!node) throw new FlottError('FACT_NOT_FOUND', path)
    if (version !== -1 && node.version !== version)
      throw new FlottError('FACT_CONFLICT', `${path} has version ${node.version}, not ${version}`)
    return node
  }

  #changed(path: string, parent: string): void {
    this.observer(path)
    fire(this.#dataWatches, path)
    fire(this.#childWatches, parent)
  }
}

function add(watches: Map<string, Watch[]>, path: string, watch: Watch): void {
  watches.set(path, [...(watches.get(path) ?? []), watch])
}
function fire(watches: Map<string, Watch[]>, path: string): void {
  const list = watches.get(path) ?? []
  watches.delete(path)
  for (const watch of list) watch.fire()
}
function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/'))
}
function hex(zxid: number): string {
  return zxid.toString(16).padStart(16, '0')
}
