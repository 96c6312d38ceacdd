/** How the CLI finds its cluster: -m, else the leader in ZooKeeper, else rest.address and rest.port. */
import { join } from 'node:path'
import { type Clock, systemClock } from '#core/clock.js'
import { loadConfig } from '#core/config/load-config.js'
import { OPTIONS, type OptionKey } from '#core/config/options.js'
import type { LoadedConfig } from '#core/config/resolve-config.js'
import { compareEpochs } from '#core/epoch.js'
import { silentLogger } from '#core/logger.js'
import { systemRandom } from '#core/random.js'
import type { AnsweringLeader } from '#protocol/rest/leader-header.js'
import { leaderAddresses, type RestAddresses, staticAddresses } from '../submit/rest-addresses.js'
import { RestClusterClient } from '../submit/rest-cluster-client.js'
import type { TransportWatch } from '../submit/rest-request.js'
import type { Terminal } from './terminal.js'

/** Trouble in the middle that is over sooner is none of the user's. */
const QUIET_MS = 1_000

export interface ClusterOptions {
  readonly jobmanager?: string | undefined
  readonly zookeeperNamespace?: string | undefined
  readonly dynamic: readonly string[]
}

export function loadClientConfig(options: ClusterOptions): LoadedConfig {
  const confDir = process.env['FLOTT_CONF_DIR'] ?? join(process.env['FLOTT_HOME'] ?? process.cwd(), 'conf')
  const namespace = options.zookeeperNamespace === undefined ? [] : [`high-availability.cluster-id=${options.zookeeperNamespace}`]
  return loadConfig({ confDir, env: process.env, dynamic: [...options.dynamic, ...namespace] })
}

/** Of `key=value` texts that loadConfig has accepted. */
export function settingsOfTexts(dynamic: readonly string[]): Readonly<Record<string, string>> {
  return Object.fromEntries(dynamic.map((text) => [text.slice(0, text.indexOf('=')).trim(), text.slice(text.indexOf('=') + 1)]))
}

/** The settings among these that are a job's. */
export function jobSettings(settings: Readonly<Partial<Record<OptionKey, string>>>): Record<string, string> {
  return Object.fromEntries(Object.entries(settings).filter(([key]) => OPTIONS[key as OptionKey].scope === 'job'))
}

export async function connectToCluster(options: ClusterOptions, { config }: LoadedConfig, terminal: Terminal): Promise<RestClusterClient> {
  const addresses = await addressesOf(options, config, systemClock)
  return new RestClusterClient({
    addresses,
    retry: {
      attempts: config['rest.retry.max-attempts'],
      firstDelayMs: 100,
      maxDelayMs: config['rest.retry.delay'],
      timeoutMs: config['client.timeout'],
    },
    watch: clusterWatch(terminal),
  })
}

async function addressesOf(options: ClusterOptions, config: LoadedConfig['config'], clock: Clock): Promise<RestAddresses> {
  if (options.jobmanager !== undefined) return staticAddresses(options.jobmanager)
  if (config['high-availability.type'] !== 'zookeeper') return staticAddresses(`${config['rest.address']}:${config['rest.port']}`)
  // Loaded only here: it is native, and most commands do without.
  const { quorumOf, zookeeperLeaderRetrieval } = await import('#ha/zookeeper/from-config.js')
  const retrieval = zookeeperLeaderRetrieval(config, { clock, random: systemRandom, logger: silentLogger })
  await retrieval.start()
  return leaderAddresses(retrieval, { where: `ZooKeeper at ${quorumOf(config)}`, timeoutMs: config['rest.connection-timeout'] })
}

/** A change of leader is one line. That nobody answers is told once it has lasted, and at once where nobody has answered yet. */
export function clusterWatch(terminal: Pick<Terminal, 'note'>): Required<TransportWatch> {
  let leads: AnsweringLeader | undefined
  let hasAnswered = false
  let isTold = false
  return {
    onTrouble(trouble, lastedMs) {
      if (isTold || (hasAnswered && lastedMs < QUIET_MS)) return
      terminal.note(`The cluster does not answer (${trouble.message.split('\n')[0]}); trying again.`)
      isTold = true
    },
    onAnswer(leader) {
      const isLate = leads !== undefined && leader !== undefined && compareEpochs(leader.epoch, leads.epoch) < 0
      const next = isLate ? leads : (leader ?? leads)
      if (leads !== undefined && next?.jobManagerId !== leads.jobManagerId)
        terminal.note(`The leader has changed: ${next?.jobManagerId} leads now.`)
      else if (isTold) terminal.note('The cluster answers again.')
      leads = next
      hasAnswered = true
      isTold = false
    },
  }
}
