import type { Logger } from '#core/logger.js'
import type { Random } from '#core/random.js'
import type { SimulatedZooKeeper } from '#ha/memory/simulated-zookeeper.js'
import type { ClusterPaths } from '#ha/zookeeper/zookeeper.js'
import type { LoopbackNetwork } from '#rpc/loopback.js'
import type { LoopbackDataPorts } from '#taskmanager/network/loopback-transport.js'
import type { UserCodeLoader } from '#usercode/user-code-loader.js'
import type { FakeClock } from '../support/fake-clock.js'
import type { MemoryChunkFiles } from '../support/memory-chunk-files.js'
import type { BrokenRule } from './broken-rules.js'
import type { Invariants } from './invariants.js'
import type { ProcessClock } from './process-clock.js'

/** Time scales of all processes. Short ones make short histories. */
export interface Timing {
  readonly sessionTimeoutMs: number
  readonly heartbeatIntervalMs: number
  readonly heartbeatTimeoutMs: number
  readonly leaderlessTimeoutMs: number
  /** high-availability.replication.timeout */
  readonly replicationTimeoutMs: number
}
export const TIMING: Timing = {
  sessionTimeoutMs: 3_000,
  heartbeatIntervalMs: 500,
  heartbeatTimeoutMs: 2_500,
  leaderlessTimeoutMs: 20_000,
  replicationTimeoutMs: 2_000,
}
export const ZOOKEEPER_RETRY_MS = 500

/** What sinks of a simulation need to know of the attempt that they write for. */
export interface AttemptRecord {
  readonly taskManagerId: string
  /** The last checkpoint of which it was told that it is aborted. */
  abortedUpTo: number
}

/** What all processes of a simulation stand in. */
export interface World {
  readonly time: FakeClock
  readonly random: Random
  readonly zookeeper: SimulatedZooKeeper
  readonly network: LoopbackNetwork
  readonly dataPorts: LoopbackDataPorts
  readonly paths: ClusterPaths
  readonly loader: UserCodeLoader
  readonly timing: Timing
  readonly settings: Readonly<Record<string, string>>
  readonly broken: ReadonlySet<BrokenRule>
  /** TaskManagers that were given up get marks, and heed them. */
  readonly marksGivenUp: boolean
  readonly invariants: Invariants
  note(process: string, text: string, fields?: object): void
  readonly attempts: Map<string, AttemptRecord>
  /** Of each TaskManager: its copies of chunks. They end with its process. */
  readonly localCopies: Map<string, MemoryChunkFiles>
  /** A task that is restored asks for a chunk of its snapshot. */
  chunkWanted(): void
}

/** A process as faults see it. */
export interface SimulatedProcess {
  readonly name: string
  readonly kind: 'jobmanager' | 'taskmanager'
  /** Of its RPC endpoint. */
  readonly address: string
  /** Its name as a client of ZooKeeper: another one for each incarnation. */
  readonly zookeeperName: string
  readonly clock: ProcessClock
  /** SIGTERM, or (patient) `flott drain`: drains and ends; the process is gone when it resolves. */
  stop(patient: boolean): Promise<void>
}

export function loggerOf(world: Pick<World, 'note'>, name: string): Logger {
  const at = (bound: object): Logger => {
    const write = (level: string) => (text: string, fields?: object) => world.note(name, `${level} ${text}`, { ...bound, ...fields })
    return {
      debug: () => {},
      info: write('info'),
      warn: write('warn'),
      error: write('error'),
      child: (fields) => at({ ...bound, ...fields }),
    }
  }
  return at({})
}
