/** A JobManager as start-job-manager.ts composes it, over simulated disk, network and ZooKeeper, and without REST. */

import type { Clock } from '#core/clock.js'
import { configOf } from '#core/config/resolve-config.js'
import { type Epoch, HighestEpoch } from '#core/epoch.js'
import type { ZooKeeper } from '#ha/zookeeper/zookeeper.js'
import { ZooKeeperLeaderElection } from '#ha/zookeeper/zookeeper-leader-election.js'
import { ZooKeeperLeaderRetrieval } from '#ha/zookeeper/zookeeper-leader-retrieval.js'
import type { Dispatcher } from '#jobmanager/dispatcher/dispatcher.js'
import { JobManager, type LeaderStorage, type Leading } from '#jobmanager/job-manager.js'
import { coordinatorFactory } from '#jobmanager/jobmaster/coordinator-factory.js'
import { jobMasterSettings } from '#jobmanager/jobmaster/job-master-settings.js'
import { InlineEnumeratorHost } from '#jobmanager/jobmaster/sources/inline-enumerator-host.js'
import { ReplicatedStorage } from '#jobmanager/replicated-storage.js'
import { establishMembership } from '#jobmanager/replication/membership.js'
import { ReplicaEndpoint, servedReplica } from '#jobmanager/replication/replica.js'
import { Standby } from '#jobmanager/standby.js'
import { replicaGateway } from '#protocol/gateways/replication-gateway.js'
import type { BlobStore } from '#protocol/ha/blobs.js'
import type { JobFact, Replica, Versioned } from '#protocol/ha/facts.js'
import type { LeaderElection } from '#protocol/ha/leadership.js'
import type { RpcNetwork } from '#rpc/rpc.js'
import { type DataDirectory, overLevel } from '#storage/data-directory.js'
import {
  CarelessEpoch,
  carelessElection,
  forgettingAssignments,
  forgettingCheckpoints,
  forgettingEpochs,
  leadingAnyway,
  namedTooEarly,
  neverSynced,
  repeatingIds,
  servingFirst,
  trustingRegistrations,
  withoutLooking,
  writingOn,
} from './careless-leader.js'
import { ProcessClock } from './process-clock.js'
import type { SimulatedDisk } from './simulated-disk.js'
import { watchedEndpoints } from './watched-endpoints.js'
import { loggerOf, type SimulatedProcess, type World, ZOOKEEPER_RETRY_MS } from './world.js'

export interface SimulatedJobManager extends SimulatedProcess {
  readonly kind: 'jobmanager'
  /** What it leads, while it does. */
  leading(): Leading | undefined
  /** What `GET /flott/disk` tells an operator, once it runs. */
  disk(): DiskAnswer | undefined
}
export interface DiskAnswer {
  readonly replica: Replica
  readonly clusterUuid: string | undefined
}

export interface SimulatedJobManagerOptions {
  readonly name: string
  readonly incarnation: number
  readonly disk: SimulatedDisk
  /** Of a disk that is new. */
  newDiskId(): string
  onDisk(diskId: string): void
  /** The start has failed: the process ends. */
  onFailed(error: unknown): void
}

export function startSimulatedJobManager(world: World, options: SimulatedJobManagerOptions): SimulatedJobManager {
  const { name, incarnation } = options
  const clock = new ProcessClock(world.time)
  let running: Services | undefined
  const booting = boot(world, options, clock).then((services) => {
    running = services
  })
  booting.catch((error: unknown) => options.onFailed(error))
  return {
    name,
    kind: 'jobmanager',
    address: addressOf(name),
    zookeeperName: zookeeperNameOf(name, incarnation),
    clock,
    leading: () => running?.jobManager.leading(),
    disk: () => running?.disk(),
    async stop() {
      await booting
      await running?.stop()
    },
  }
}
const addressOf = (name: string) => `${name}:6123`
const zookeeperNameOf = (name: string, incarnation: number) => `${name}#${incarnation}`

interface Services {
  readonly jobManager: JobManager
  disk(): DiskAnswer
  stop(): Promise<void>
}

async function boot(world: World, options: SimulatedJobManagerOptions, clock: ProcessClock): Promise<Services> {
  const { name, incarnation } = options
  const { zookeeper, paths, random, timing } = world
  const logger = loggerOf(world, name)
  const address = addressOf(name)
  const directory = await overLevel(await options.disk.open(clock), () => options.newDiskId())
  const disk = carelessDisk(world, directory)
  options.onDisk(disk.diskId)

  const careless = world.broken.has('skip-epoch-check')
  const process = world.network.process(address, careless ? new CarelessEpoch() : new HighestEpoch(), clock)
  process.seen.adopt(disk.epoch)
  const takesCall = (epoch: Epoch) => world.invariants.takesCall(`${name} with ${disk.diskId}`, epoch)
  const answersUnder = (epoch: Epoch) => world.invariants.answersUnder(name, disk.diskId, epoch)
  const network: RpcNetwork = {
    dial: (to, dialling) => process.dial(to, dialling),
    endpoints: watchedEndpoints(process.endpoints, takesCall, answersUnder),
    seen: process.seen,
  }
  const transfer = process.blobTransfer()
  let storage: ReplicatedStorage | undefined
  process.serveBlobs(
    () => storage?.serving() ?? disk.blobs,
    async (epoch) => {
      takesCall(epoch)
      if (!careless) await disk.persistEpoch(epoch)
    },
  )
  const self: Replica = { jobManagerId: name, diskId: disk.diskId, address }
  const real = zookeeper.client(zookeeperNameOf(name, incarnation))
  const client = world.broken.has('skip-sync') ? neverSynced(real) : real
  const deps = { zookeeper: client, paths, clock, random, logger, retryWaitMs: ZOOKEEPER_RETRY_MS }
  const election = electionOf(
    world,
    new ZooKeeperLeaderElection({
      ...deps,
      jobManagerId: name,
      async isMember(facts) {
        const member = await establishMembership({ facts, disk, self, clusterId: 'simulated', newUuid: () => 'simulated' })
        return member || world.broken.has('lead-out-of-sync')
      },
      persistEpoch: (epoch) => disk.persistEpoch(epoch),
    }),
    { clock, zookeeper: client, self, recover: (jobs) => (jobManager.leading()?.dispatcher as Dispatcher | undefined)?.recover(jobs) },
  )
  const retrieval = new ZooKeeperLeaderRetrieval(deps)
  storage = new ReplicatedStorage({
    disk,
    self,
    transfer,
    network,
    minInSync: 1,
    stallTimeoutMs: timing.replicationTimeoutMs,
    clock,
    logger,
    onBroken: (error) => {
      logger.error('the in-sync set is broken: stepping down', { error })
      election.stepDown('the in-sync set could not be changed', { again: true }).catch(options.onFailed)
    },
  })
  const replica = new ReplicaEndpoint({ self, local: disk.blobs, transfer, logger })
  network.endpoints.register(replicaGateway, servedReplica(replica, disk))
  const { heartbeatIntervalMs, heartbeatTimeoutMs } = timing
  const patience = { 'heartbeat.timeout': `${heartbeatTimeoutMs} ms` }
  const jobManager: JobManager = new JobManager({
    election,
    storage: storageOf(world, name, storage, disk),
    address: { jobManagerId: name, rpcAddress: address, restUrl: '' },
    logger,
    parts: {
      endpoints: world.broken.has('forget-assignments') ? forgettingAssignments(network.endpoints) : network.endpoints,
      clock,
      random,
      logger,
      settings: {
        heartbeatIntervalMs,
        heartbeatTimeoutMs,
        completed: { capacity: 100, expirationMs: 3_600_000 },
        marksGivenUp: world.marksGivenUp,
      },
      settingsOf: (graph) => jobMasterSettings(configOf({ ...patience, ...world.settings, ...graph.settings }).config),
      createCoordinators: coordinatorFactory(new InlineEnumeratorHost((graph) => world.loader.load(graph, undefined), clock)),
    },
  })
  const standby = new Standby({ self, replica, disk, network, retrieval, clock, logger })
  await retrieval.start()
  await standby.start()
  await jobManager.start()
  return {
    jobManager,
    disk: () => ({ replica: self, clusterUuid: disk.clusterUuid }),
    async stop() {
      await jobManager.stop()
      await standby.stop()
      await retrieval.stop()
      await disk.close()
    },
  }
}

function carelessDisk({ broken }: World, directory: DataDirectory): DataDirectory {
  if (broken.has('forget-epochs')) return forgettingEpochs(directory)
  return broken.has('lead-with-holes') ? withoutLooking(directory) : directory
}

function electionOf(
  { broken, paths }: World,
  election: LeaderElection,
  own: {
    readonly clock: Clock
    readonly zookeeper: ZooKeeper
    readonly self: Replica
    recover(jobs: readonly Versioned<JobFact>[]): Promise<void> | undefined
  },
): LeaderElection {
  if (broken.has('forget-drains')) return carelessElection(election, () => ({ facts: { listDrains: async () => [] } }))
  if (broken.has('lose-completed-checkpoint')) return carelessElection(election, forgettingCheckpoints)
  if (broken.has('lead-out-of-sync')) return carelessElection(election, leadingAnyway(own.self))
  if (broken.has('repeat-checkpoint-ids')) return carelessElection(election, repeatingIds)
  if (broken.has('write-after-the-session')) return carelessElection(election, writingOn(own.zookeeper, paths, own.clock))
  if (broken.has('trust-young-registrations')) return carelessElection(election, trustingRegistrations(own.zookeeper, paths))
  if (broken.has('serve-before-recovery')) return servingFirst(election, own.clock, own.recover)
  return election
}

function storageOf(world: World, name: string, storage: ReplicatedStorage, disk: DataDirectory): LeaderStorage {
  return {
    persistEpoch: (reign) => storage.persistEpoch(reign),
    async lead(reign) {
      const leading = await storage.lead(reign)
      world.invariants.leads(name, disk.diskId, reign.epoch)
      const local: BlobStore = disk.blobs
      return world.broken.has('name-before-replication') ? { ...leading, blobs: namedTooEarly(leading.blobs, local) } : leading
    },
  }
}
