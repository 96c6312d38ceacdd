/**
 * Gives tasks their channels. Both ends of a channel in one slot: no ring, the worker links them. In two slots of this TaskManager: one
 * ring, shared. On two TaskManagers: each has a ring between its worker and its network, which moves the frames.
 */
import type { NetworkMetrics } from '#protocol/gateways/task-executor-gateway.js'
import type { AttemptLocation, DeploymentRecord, TaskDeploymentDescriptor } from '#protocol/graph/deployment.js'
import type { JobEdge, JobGraph } from '#protocol/graph/job-graph.js'
import { consumersOf, inputsOf, outputsOf, producersOf, vertexOf } from '#protocol/graph/wiring.js'
import type { ChannelDescriptor } from './exchange/exchange.js'
import { createRing, RING_SLOT_BYTES, type RingOptions, ringUse } from './exchange/ring.js'
import type { NetworkEnvironment } from './network/network.js'
import type { WorkerTask } from './slotworker/protocol.js'

export interface ChannelWiringOptions {
  readonly taskManagerId: string
  readonly network: NetworkEnvironment
  readonly ring?: RingOptions
  /** Of the slot's worker. SLOT_NOT_AVAILABLE where the slot has none. */
  doorbellOf(slotIndex: number): SharedArrayBuffer
  /** A channel from another TaskManager ended before its end; `channel` numbers the consumer's inputs. */
  onBroken(attemptId: string, channel: number, cause: Error): void
}

/** Where the attempt of a subtask runs. */
export type Locate = (vertexId: string, subtaskIndex: number) => AttemptLocation

export function locator({ attempts }: DeploymentRecord): Locate {
  const at = new Map(attempts.map((location) => [`${location.vertexId} ${location.subtaskIndex}`, location]))
  return (vertexId, subtaskIndex) => {
    const location = at.get(`${vertexId} ${subtaskIndex}`)
    if (!location) throw new Error(`the deployment has no attempt of ${vertexId}, subtask ${subtaskIndex}`)
    return location
  }
}

export class ChannelWiring {
  /**
   * By channel. Between two slots here the end that is deployed first makes the ring, and it is kept until both attempts are gone; to or
   * from another TaskManager each end has its own.
   */
  readonly #rings = new Map<string, { readonly ring: SharedArrayBuffer; readonly users: Set<string> }>()

  constructor(private readonly options: ChannelWiringOptions) {}

  /** The task with its channels, in the order of protocol/graph/wiring.ts. Opens those that go through the network. */
  wire(jobGraph: JobGraph, locate: Locate, descriptor: TaskDeploymentDescriptor): WorkerTask {
    const { vertexId, subtaskIndex } = descriptor
    const self = locate(vertexId, subtaskIndex)
    const parallelism = (id: string) => vertexOf(jobGraph, id).parallelism
    const inputs = inputsOf(jobGraph, vertexId)
      .flatMap((edge) =>
        producersOf(edge, parallelism(edge.source), parallelism(vertexId), subtaskIndex).map((p) => ({
          edge,
          peer: locate(edge.source, p),
        })),
      )
      .map(({ edge, peer }, channel) => this.#input(edge, peer, self, channel))
    const outputs = outputsOf(jobGraph, vertexId).flatMap((edge) =>
      consumersOf(edge, parallelism(vertexId), parallelism(edge.target), subtaskIndex).map((c) =>
        this.#output(edge, self, locate(edge.target, c)),
      ),
    )
    return { descriptor, inputs, outputs }
  }

  /** The attempt is gone; `finished`: and has sent everything. */
  release(attemptId: string, finished: boolean): void {
    this.options.network.closeAttempt(attemptId, { finished })
    for (const [key, { users }] of this.#rings) if (users.delete(attemptId) && users.size === 0) this.#rings.delete(key)
  }

  use(): NetworkMetrics {
    let segmentsTotal = 0
    let segmentsUsed = 0
    for (const { ring } of this.#rings.values()) {
      const { slots, used } = ringUse(ring)
      segmentsTotal += slots
      segmentsUsed += used
    }
    return { segmentsTotal, segmentsUsed, segmentBytes: this.options.ring?.slotBytes ?? RING_SLOT_BYTES }
  }

  #input(edge: JobEdge, producer: AttemptLocation, consumer: AttemptLocation, channel: number): ChannelDescriptor {
    const { taskManagerId, network, doorbellOf, onBroken } = this.options
    const ends = endsOf(edge, producer, consumer)
    if (producer.taskManagerId === taskManagerId) return this.#local(ends, producer, consumer, producer.slotIndex)
    const ring = this.#newRing(ends, consumer.attemptId)
    const broken = (cause: Error) => onBroken(consumer.attemptId, channel, cause)
    const from = { host: producer.dataHost, port: producer.dataPort }
    network.openInput({ ...ends, ring, peerDoorbell: doorbellOf(consumer.slotIndex) }, from, broken)
    return { ...ends, ring, peerDoorbell: network.doorbell }
  }
  #output(edge: JobEdge, producer: AttemptLocation, consumer: AttemptLocation): ChannelDescriptor {
    const { taskManagerId, network, doorbellOf } = this.options
    const ends = endsOf(edge, producer, consumer)
    if (consumer.taskManagerId === taskManagerId) return this.#local(ends, producer, consumer, consumer.slotIndex)
    const ring = this.#newRing(ends, producer.attemptId)
    network.openOutput({ ...ends, ring, peerDoorbell: doorbellOf(producer.slotIndex) })
    return { ...ends, ring, peerDoorbell: network.doorbell }
  }
  #local(ends: ChannelDescriptor, producer: AttemptLocation, consumer: AttemptLocation, peerSlot: number): ChannelDescriptor {
    if (producer.slotIndex === consumer.slotIndex && producer.allocationId === consumer.allocationId) return ends
    const ring = this.#rings.get(keyOf(ends))?.ring ?? this.#newRing(ends, ends.producerAttempt, ends.consumerAttempt)
    return { ...ends, ring, peerDoorbell: this.options.doorbellOf(peerSlot) }
  }
  #newRing(ends: ChannelDescriptor, ...users: readonly string[]): SharedArrayBuffer {
    const ring = createRing(this.options.ring)
    this.#rings.set(keyOf(ends), { ring, users: new Set(users) })
    return ring
  }
}

function keyOf({ edgeId, producerAttempt, consumerAttempt }: ChannelDescriptor): string {
  return JSON.stringify([edgeId, producerAttempt, consumerAttempt])
}
function endsOf(edge: JobEdge, producer: AttemptLocation, consumer: AttemptLocation): ChannelDescriptor {
  return {
    edgeId: edge.id,
    producerAttempt: producer.attemptId,
    producerSubtask: producer.subtaskIndex,
    consumerAttempt: consumer.attemptId,
    consumerSubtask: consumer.subtaskIndex,
  }
}
