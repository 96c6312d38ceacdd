/**
 * A program run by plain `node job.js`: the whole cluster in this process, started at the first execute() and stopped when the last
 * job has ended. The daemons are loaded only then, so that a program that submits elsewhere never pays for them.
 */
import type { ClusterClient } from './cluster-client.js'
import { connectToCluster } from './connect-to-cluster.js'

/** What daemon/minicluster/index.ts exports as `startMiniCluster`. */
export interface MiniClusterOptions {
  /** Slots in all. */
  readonly slots: number
  /** Configuration keys as text. */
  readonly settings: Readonly<Record<string, string>>
}
export interface MiniCluster {
  /** Where its REST API listens, on a free port of the loopback interface. */
  readonly restUrl: string
  /** Ends jobs, threads and sockets. Idempotent. */
  stop(): Promise<void>
}
export type StartMiniCluster = (options: MiniClusterOptions) => Promise<MiniCluster>

export interface LocalCluster {
  readonly client: ClusterClient
  stop(): Promise<void>
}

const MINI_CLUSTER: string = '../../daemon/minicluster/index.js' // By name only: the client must not pull the daemons in.

export async function startLocalCluster(options: MiniClusterOptions): Promise<LocalCluster> {
  const { startMiniCluster } = (await import(MINI_CLUSTER)) as { startMiniCluster: StartMiniCluster }
  const cluster = await startMiniCluster(options)
  const client = await connectToCluster(cluster.restUrl)
  return {
    client,
    async stop() {
      await client.close()
      await cluster.stop()
    },
  }
}
