/** Faults on a cluster of real processes, in an order that a seed decides. */
import { between, type Random } from '#core/random.js'
import type { ProcessCluster } from './process-cluster.js'
import type { ZooKeeperServer } from './zookeeper-server.js'

export type FaultName = 'kill-leader' | 'kill-taskmanager' | 'stop-leader' | 'restart-zookeeper'
export const FAULTS: readonly FaultName[] = ['kill-leader', 'kill-taskmanager', 'stop-leader', 'restart-zookeeper']

export interface FaultTarget {
  readonly cluster: ProcessCluster
  readonly zookeeper: ZooKeeperServer
  readonly random: Random
  /** A leader is stopped for longer than this. */
  readonly sessionTimeoutMs: number
}

/** Does it, and brings back what it took down; resolves when all processes run again, whatever they make of it. */
export async function injectFault(name: FaultName, { cluster, zookeeper, random, sessionTimeoutMs }: FaultTarget): Promise<void> {
  switch (name) {
    case 'kill-leader': {
      const leader = await cluster.leader()
      await leader.kill('SIGKILL')
      await leader.start()
      return
    }
    case 'kill-taskmanager': {
      const victim = cluster.taskManagers[between(random, 0, cluster.taskManagers.length)]!
      await victim.kill('SIGKILL')
      victim.spawn()
      await victim.ready()
      return
    }
    case 'stop-leader': {
      const leader = await cluster.leader()
      leader.signal('SIGSTOP')
      await pause(sessionTimeoutMs + 1_500)
      leader.signal('SIGCONT')
      return
    }
    case 'restart-zookeeper':
      await zookeeper.stop('SIGTERM')
      await zookeeper.run()
      return
  }
}

export function shuffled<T>(items: readonly T[], random: Random): T[] {
  const result = [...items]
  for (let i = result.length - 1; i > 0; i--) {
    const j = between(random, 0, i + 1)
    const item = result[i]!
    result[i] = result[j]!
    result[j] = item
  }
  return result
}

export function pause(ms: number): Promise<void> {
  return new Promise((done) => setTimeout(done, ms))
}
