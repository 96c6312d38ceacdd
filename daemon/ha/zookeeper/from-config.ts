/** The ZooKeeper client, and what is built on it, as the configuration says. For daemons and the CLI alike. */
import type { Clock } from '#core/clock.js'
import type { Config } from '#core/config/options.js'
import type { Logger } from '#core/logger.js'
import type { Random } from '#core/random.js'
import { NativeZooKeeper } from './native-zookeeper.js'
import { ClusterPaths } from './zookeeper.js'
import { ZooKeeperLeaderRetrieval } from './zookeeper-leader-retrieval.js'

const RETRY_WAIT_MS = 200

export interface FromConfigDependencies {
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
}

export function quorumOf(config: Config): string {
  return config['high-availability.zookeeper.quorum'].join(',')
}

export function zookeeperOf(
  config: Config,
  deps: FromConfigDependencies,
): { readonly zookeeper: NativeZooKeeper; readonly paths: ClusterPaths } {
  const authorization = config['high-availability.zookeeper.client.authorization']
  const zookeeper = new NativeZooKeeper(
    {
      quorum: quorumOf(config),
      sessionTimeoutMs: config['high-availability.zookeeper.client.session-timeout'],
      connectionTimeoutMs: config['high-availability.zookeeper.client.connection-timeout'],
      acl: config['high-availability.zookeeper.client.acl'],
      ...(authorization === '' ? {} : { authorization: [{ scheme: 'digest', auth: authorization }] }),
    },
    deps,
  )
  const paths = new ClusterPaths(config['high-availability.cluster-id'], config['high-availability.zookeeper.path.root'])
  return { zookeeper, paths }
}

/** `sessionFile`: where the credentials of its session go. */
export function zookeeperLeaderRetrieval(config: Config, deps: FromConfigDependencies, sessionFile?: string): ZooKeeperLeaderRetrieval {
  const { clock, logger } = deps
  const credentials = sessionFile === undefined ? {} : { credentials: { file: sessionFile, quorum: quorumOf(config) } }
  return new ZooKeeperLeaderRetrieval({ ...zookeeperOf(config, deps), ...credentials, clock, logger, retryWaitMs: RETRY_WAIT_MS })
}
