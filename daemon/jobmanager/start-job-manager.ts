/** A JobManager's services, made from the configuration: by its process, and by the mini-cluster. */
import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { hostname, tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { systemClock } from '#core/clock.js'
import { type Config, OPTIONS } from '#core/config/options.js'
import { configOf, KNOWN_KEYS, settingText } from '#core/config/resolve-config.js'
import type { DaemonContext, RunningDaemon } from '#core/daemon-process.js'
import { FlottError, isFlottError } from '#core/errors.js'
import type { Logger } from '#core/logger.js'
import { systemRandom } from '#core/random.js'
import { type StartedParts, startInOrder } from '#core/started-parts.js'
import { EmbeddedLeaderElection, FixedLeaderRetrieval } from '#ha/embedded/embedded-leader-election.js'
import { levelFactStore } from '#ha/embedded/level-fact-store.js'
import { quorumOf, zookeeperLeaderRetrieval, zookeeperOf } from '#ha/zookeeper/from-config.js'
import { releaseLeftBehind } from '#ha/zookeeper/release-session.js'
import { sessionFileOf } from '#ha/zookeeper/session-credentials.js'
import { ZooKeeperLeaderElection } from '#ha/zookeeper/zookeeper-leader-election.js'
import { processUsage } from '#metrics/process-metrics.js'
import { replicaGateway } from '#protocol/gateways/replication-gateway.js'
import type { JobGraph } from '#protocol/graph/job-graph.js'
import type { BlobStore } from '#protocol/ha/blobs.js'
import type { FactStore, Replica } from '#protocol/ha/facts.js'
import type { LeaderElection, LeaderRetrieval } from '#protocol/ha/leadership.js'
import { BlobServer } from '#rpc/blob-server.js'
import { HttpBlobTransfer } from '#rpc/blob-transfer.js'
import { InternalEndpoint } from '#rpc/internal-endpoint.js'
import { serveLeaderInfo } from '#rpc/leader-info.js'
import { WsRpcNetwork } from '#rpc/ws-network.js'
import { type DataDirectory, openDataDirectory } from '#storage/data-directory.js'
import { unpackArtifact } from '#usercode/artifact-directory.js'
import { Application } from './application/application.js'
import { type ApplicationProgram, applicationJobId } from './application/application-arguments.js'
import { programStarter } from './application/program-process.js'
import { Handover } from './handover.js'
import { JobManager } from './job-manager.js'
import { coordinatorFactory } from './jobmaster/coordinator-factory.js'
import { jobMasterSettings } from './jobmaster/job-master-settings.js'
import { ThreadEnumeratorHost } from './jobmaster/sources/thread-enumerator-host.js'
import type { LeaderParts } from './leader-services.js'
import { ReplicatedStorage } from './replicated-storage.js'
import { reportDisk } from './replication/disk-report.js'
import { Membership } from './replication/membership.js'
import { ReplicaEndpoint, servedReplica } from './replication/replica.js'
import { RestEndpoint } from './rest/rest-endpoint.js'
import { Standby } from './standby.js'
import { programDirectory } from './unpacked-programs.js'

const INSTALLATION = fileURLToPath(new URL('../../../', import.meta.url))
const RETRY_WAIT_MS = 200

export interface RunningJobManager extends RunningDaemon {
  readonly restUrl: string
  /** host:port of the internal endpoint. */
  readonly rpcAddress: string
}

type Program = ApplicationProgram & { readonly dynamic: readonly string[] }

/** With a program: the JobManager of an application, which runs it and ends with its job. */
export function startJobManager(context: DaemonContext, program?: Program): Promise<RunningJobManager> {
  return startInOrder((started) => start(context, program, started))
}

async function start(context: DaemonContext, program: Program | undefined, started: StartedParts): Promise<RunningJobManager> {
  const { config, explicit, logger, ready } = context
  const clock = systemClock
  const disk = await openDataDirectory({ path: resolve(INSTALLATION, config['jobmanager.data.dir']), logger, clock })
  started.add(() => disk.close())
  const served: Served = {}
  const { network, transfer, rpcAddress } = await serveDaemons({ config, disk, served, logger, started })
  const self: Replica = { jobManagerId: config['jobmanager.resource-id'] || rpcAddress, diskId: disk.diskId, address: rpcAddress }

  const sessionFile = context.lockFile === undefined ? undefined : sessionFileOf(context.lockFile)
  const { election, retrieval, membership, release } = leadership({ config, disk, self, sessionFile, logger, fatal: context.fatal })
  const storage = replicatedStorage({ context, disk, self, transfer, network, election })
  served.retrieval = retrieval
  served.storage = storage
  const replica = new ReplicaEndpoint({ self, local: disk.blobs, transfer, logger })
  network.endpoints.register(replicaGateway, servedReplica(replica, disk))

  const artifacts = await programDirectory(config['io.tmp.dirs'] || tmpdir(), disk.diskId, process.pid, logger)
  started.add(() => rm(artifacts, { recursive: true, force: true }))
  let jobManager: JobManager | undefined
  let handover: Handover | undefined
  const rest = new RestEndpoint(
    {
      clock,
      logger,
      version: installedVersion(),
      leading: () => jobManager?.leading(),
      answering: () => handover?.answering(),
      leader: () => retrieval.current,
      predecessor: () => handover?.predecessor,
      hindrance: () => membership.hindrance,
      disk: () => reportDisk({ self, clusterUuid: disk.clusterUuid, blobs: disk.blobs, facts: membership.facts }),
      configuration: configuration(explicit),
      processMetrics,
      maxContentLength: config['rest.server.max-content-length'],
    },
    { host: config['rest.bind-address'], ports: restPorts(config) },
  )
  await started.start(rest)
  const restUrl = `http://${advertised(config['rest.bind-address'], config['jobmanager.rpc.address'])}:${rest.port}`
  const readyAs = (text: string) => ready(`${text}; REST at ${restUrl}`)
  const application = program && applicationOf({ context, program, restUrl, membership, readyAs })
  jobManager = new JobManager({
    election,
    storage,
    address: { jobManagerId: self.jobManagerId, rpcAddress, restUrl },
    logger,
    parts: {
      ...leaderParts({ config, explicit, blobs: storage.serving, network, logger, artifacts }),
      ...(application ? { application } : {}),
    },
  })
  handover = new Handover({ jobManager, retrieval, rpcAddress, clock, hasSuccessor: () => storage.membersLed > 1 })
  await started.start(retrieval)
  await started.start(new Standby({ self, replica, disk, network, retrieval, clock, logger }))
  await release()
  await started.start(handover)
  if (application) await started.start(application)
  started.add(
    retrieval.watch((leader) => {
      if (!leader) return
      if (leader.rpcAddress !== rpcAddress) readyAs(`stands by, ${leader.jobManagerId} leads`)
      else if (!application) readyAs('leads') // An application says so when its job is there.
    }),
  )
  logger.info('JobManager started', { jobManager: self.jobManagerId, rpcAddress, restUrl })
  return { restUrl, rpcAddress, stop: () => started.end() }
}

/** What the internal endpoint serves beside the disk; requests may come before it is there. */
interface Served {
  storage?: ReplicatedStorage
  retrieval?: LeaderRetrieval
}

/** The internal endpoint: calls and blobs between daemons. */
async function serveDaemons(parts: {
  config: Config
  disk: DataDirectory
  served: Served
  logger: Logger
  started: StartedParts
}): Promise<{ network: WsRpcNetwork; transfer: HttpBlobTransfer; rpcAddress: string }> {
  const { config, disk, served, logger, started } = parts
  const clock = systemClock
  const endpoint = new InternalEndpoint()
  started.add(() => endpoint.stop())
  const network = new WsRpcNetwork({ clock, logger })
  started.add(() => network.stop())
  network.seen.adopt(disk.epoch)
  network.attach(endpoint)
  const transfer = new HttpBlobTransfer({ clock })
  started.add(() => transfer.stop())
  new BlobServer({
    store: () => served.storage?.serving() ?? disk.blobs,
    seen: network.seen,
    logger,
    persistEpoch: (epoch) => disk.persistEpoch(epoch),
  }).attach(endpoint)
  serveLeaderInfo(endpoint, () => served.retrieval?.current)
  const ports = config[config['high-availability.type'] === 'zookeeper' ? 'high-availability.jobmanager.port' : 'jobmanager.rpc.port']
  const port = await endpoint.start(config['jobmanager.bind-host'], ports.from, ports.to)
  return { network, transfer, rpcAddress: `${config['jobmanager.rpc.address']}:${port}` }
}

function replicatedStorage(parts: {
  context: DaemonContext
  disk: DataDirectory
  self: Replica
  transfer: HttpBlobTransfer
  network: WsRpcNetwork
  election: LeaderElection
}): ReplicatedStorage {
  const { context, election, ...storage } = parts
  const { config, logger, fatal } = context
  return new ReplicatedStorage({
    ...storage,
    minInSync: config['high-availability.replication.min-in-sync'],
    stallTimeoutMs: config['high-availability.replication.timeout'],
    clock: systemClock,
    logger,
    onBroken: (error) => {
      logger.error('the in-sync set is broken: stepping down', { error })
      election.stepDown('the in-sync set could not be changed', { again: true }).catch(fatal)
    },
  })
}

function applicationOf(parts: {
  context: DaemonContext
  program: Program
  restUrl: string
  membership: Membership
  readyAs(text: string): void
}): Application {
  const { context, program, restUrl, membership, readyAs } = parts
  const { config, configDir, finish, logger } = context
  const highlyAvailable = config['high-availability.type'] === 'zookeeper'
  const jobId = program.jobId ?? applicationJobId(highlyAvailable ? config['high-availability.cluster-id'] : undefined)
  return new Application({
    jobId,
    endsWithJob: config['execution.shutdown-on-application-finish'],
    startProgram: programStarter({ ...program, jobId, restUrl, configDir }, logger),
    ...(highlyAvailable ? { jobFact: async (id: string) => (await membership.facts.readJob(id))?.value } : {}),
    clock: systemClock,
    logger,
    announce: () => readyAs(`leads, runs job ${jobId}`),
    end: finish,
  })
}

function leadership(parts: {
  config: Config
  disk: DataDirectory
  self: Replica
  /** Undefined: nobody could know when this process is dead, so nobody gets its session's password. */
  sessionFile: string | undefined
  logger: Logger
  fatal(error: unknown): void
}): {
  election: LeaderElection
  retrieval: LeaderRetrieval
  membership: Membership
  /** Ends the session of a predecessor that died under the same lock and had nobody to do so. */
  release(): Promise<void>
} {
  const { config, disk, self, sessionFile, logger, fatal } = parts
  const deps = { clock: systemClock, random: systemRandom, logger }
  const clusterId = config['high-availability.cluster-id']
  const membership = new Membership({ disk, self, clusterId, newUuid: randomUUID, logger })
  const isMember = (facts: FactStore) => membership.establish(facts)
  if (config['high-availability.type'] === 'zookeeper') {
    const quorum = quorumOf(config)
    const election = new ZooKeeperLeaderElection({
      ...deps,
      ...zookeeperOf(config, deps),
      jobManagerId: self.jobManagerId,
      isMember,
      persistEpoch: (epoch) => disk.persistEpoch(epoch),
      ...(sessionFile === undefined ? {} : { credentials: { file: sessionFile, quorum } }),
      retryWaitMs: RETRY_WAIT_MS,
      onFailed: (error) => {
        if (isFlottError(error, 'CLUSTER_MISMATCH')) fatal(error) // Trying again would not help: an operator decides.
      },
    })
    const release = async () => {
      if (sessionFile !== undefined) await releaseLeftBehind(sessionFile, quorum, deps)
    }
    return { election, retrieval: zookeeperLeaderRetrieval(config, deps), membership, release }
  }
  const retrieval = new FixedLeaderRetrieval()
  const facts = levelFactStore(disk.db)
  const embedded = new EmbeddedLeaderElection({
    ...deps,
    facts,
    disk,
    retryWaitMs: RETRY_WAIT_MS,
    onPublished: (leader) => retrieval.set(leader),
  })
  const election: LeaderElection = {
    async start(candidate) {
      if (!(await isMember(facts))) throw new FlottError('NOT_IN_SYNC', `this disk (${disk.diskId}) is not the one that the jobs are on`)
      await embedded.start(candidate)
    },
    stepDown: (reason, options) => embedded.stepDown(reason, options),
    stop: () => embedded.stop(),
  }
  return { election, retrieval, membership, release: async () => {} }
}

function leaderParts(parts: {
  config: Config
  explicit: Readonly<Record<string, string>>
  /** What this JobManager leads with: its own disk, and where a blob on it is bad, another one's. */
  blobs(): BlobStore
  network: WsRpcNetwork
  logger: Logger
  /** Directory for the programs that enumerators run. */
  artifacts: string
}): LeaderParts {
  const { config, explicit, blobs, network, logger, artifacts } = parts
  const clock = systemClock
  const artifactDirectory = ({ jobId, artifact }: JobGraph) => {
    if (artifact === undefined) return Promise.reject(new FlottError('USER_CODE_LOAD_FAILED', `job ${jobId} has no artifact`))
    const name = artifact.slice(artifact.lastIndexOf('/') + 1)
    return unpackArtifact({ directory: join(artifacts, name), read: blobs().read(artifact), installation: INSTALLATION })
  }
  return {
    endpoints: network.endpoints,
    clock,
    random: systemRandom,
    logger,
    settings: {
      heartbeatIntervalMs: config['heartbeat.interval'],
      heartbeatTimeoutMs: config['heartbeat.timeout'],
      marksGivenUp: true,
      completed: { capacity: config['jobstore.max-capacity'], expirationMs: config['jobstore.expiration-time'] },
    },
    settingsOf: (jobGraph) => jobMasterSettings(configOf({ ...explicit, ...jobGraph.settings }, 'job setting').config),
    createCoordinators: coordinatorFactory(new ThreadEnumeratorHost({ clock, artifactDirectory })),
  }
}

function restPorts(config: Config): { from: number; to: number } {
  const text = config['rest.bind-port']
  return text === '' ? { from: config['rest.port'], to: config['rest.port'] } : OPTIONS['jobmanager.rpc.port'].kind.parse(text)
}
/** The host by which others reach what listens on `bound`. */
function advertised(bound: string, address: string): string {
  if (bound !== '0.0.0.0' && bound !== '::') return bound
  return address === 'localhost' ? hostname() : address
}
function configuration(explicit: DaemonContext['explicit']): readonly { key: string; value: string }[] {
  const secret = /authorization|password|token|secret/
  return KNOWN_KEYS.map((key) => {
    const value = settingText(key, explicit)
    return { key, value: secret.test(key) && value !== '' ? '******' : value }
  })
}
function processMetrics(): string {
  const { rssBytes, heapUsedBytes, cpuSeconds } = processUsage()
  return [
    `# TYPE flott_jobmanager_rss_bytes gauge\nflott_jobmanager_rss_bytes ${rssBytes}`,
    `# TYPE flott_jobmanager_heap_used_bytes gauge\nflott_jobmanager_heap_used_bytes ${heapUsedBytes}`,
    `# TYPE flott_jobmanager_cpu_seconds counter\nflott_jobmanager_cpu_seconds ${cpuSeconds}\n`,
  ].join('\n')
}
function installedVersion(): string {
  return (JSON.parse(readFileSync(join(INSTALLATION, 'package.json'), 'utf8')) as { version: string }).version
}
