/** A candidate in a process of its own, to be killed: arguments are the quorum and the file for its credentials. Says LEADS when it does. */
import { systemClock } from '#core/clock.js'
import { silentLogger } from '#core/logger.js'
import { systemRandom } from '#core/random.js'
import { NativeZooKeeper } from '#ha/zookeeper/native-zookeeper.js'
import { ClusterPaths } from '#ha/zookeeper/zookeeper.js'
import { ZooKeeperLeaderElection } from '#ha/zookeeper/zookeeper-leader-election.js'

export const SESSION_TIMEOUT_MS = 120_000

export function candidate(quorum: string, name: string, credentialsFile?: string): ZooKeeperLeaderElection {
  const deps = { clock: systemClock, random: systemRandom, logger: silentLogger }
  return new ZooKeeperLeaderElection({
    ...deps,
    zookeeper: new NativeZooKeeper({ quorum, sessionTimeoutMs: SESSION_TIMEOUT_MS, connectionTimeoutMs: 10_000 }, deps),
    paths: new ClusterPaths('killed'),
    jobManagerId: name,
    isMember: async (facts) => {
      await facts.createCluster({ clusterId: 'killed', uuid: 'u', incarnation: 0 })
      return true
    },
    persistEpoch: async () => {},
    retryWaitMs: 100,
    ...(credentialsFile === undefined ? {} : { credentials: { file: credentialsFile, quorum } }),
  })
}

const [quorum, credentialsFile] = process.argv.slice(2)
if (process.send && quorum !== undefined)
  await candidate(quorum, 'child', credentialsFile).start({ onGranted: async () => void process.send?.('LEADS') })
