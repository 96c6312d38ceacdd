/** Leaders that forget a rule: each is wrapped around the real one, between it and ZooKeeper or the disks. */
import { type Clock, sleep } from '#core/clock.js'
import type { Epoch } from '#core/epoch.js'
import { HighestEpoch } from '#core/epoch.js'
import type { ClusterPaths, ZooKeeper } from '#ha/zookeeper/zookeeper.js'
import { zooKeeperFactStore } from '#ha/zookeeper/zookeeper-fact-store.js'
import { readJobs } from '#jobmanager/dispatcher/dispatcher.js'
import type { Gateway } from '#protocol/gateway.js'
import type { ResourceManagerGateway } from '#protocol/gateways/resource-manager-gateway.js'
import type { BlobStore, ReplicatedBlobStore } from '#protocol/ha/blobs.js'
import type { FactStore, JobFact, Replica, Versioned } from '#protocol/ha/facts.js'
import type { LeaderElection, Reign } from '#protocol/ha/leadership.js'
import type { Registrations } from '#protocol/ha/registrations.js'
import type { Endpoint, EndpointRegistry } from '#rpc/rpc.js'
import type { DataDirectory } from '#storage/data-directory.js'

export class CarelessEpoch extends HighestEpoch {
  override adopt(_epoch: Epoch): true {
    return true
  }
}

/** Takes what it reads for the newest. */
export function neverSynced(zookeeper: ZooKeeper): ZooKeeper {
  return { open: async () => Object.assign(await zookeeper.open(), { sync: async () => {} }) }
}

/** Stores on the own disk, and leaves the others to chance. */
export function namedTooEarly(blobs: ReplicatedBlobStore, local: BlobStore): ReplicatedBlobStore {
  return {
    get: (name) => blobs.get(name),
    read: (name) => blobs.read(name),
    info: (name) => blobs.info(name),
    delete: (names) => blobs.delete(names),
    list: (prefix, after) => blobs.list(prefix, after),
    async put(name, content) {
      const info = await local.put(name, content)
      blobs.put(name, await local.get(name)).catch(() => {})
      return info
    },
  }
}

/** Takes for granted that it holds what it is asked about. */
export function withoutLooking(disk: DataDirectory): DataDirectory {
  const { blobs } = disk
  const trusted: BlobStore = {
    put: (name, content) => blobs.put(name, content),
    get: (name) => blobs.get(name),
    read: (name) => blobs.read(name),
    info: async (name) => (await blobs.info(name)) ?? { name, bytes: 0, crc32: 0 },
    delete: (names) => blobs.delete(names),
    list: (prefix, after) => blobs.list(prefix, after),
  }
  return {
    diskId: disk.diskId,
    db: disk.db,
    blobs: trusted as DataDirectory['blobs'],
    epoch: disk.epoch,
    get clusterUuid() {
      return disk.clusterUuid
    },
    isEmpty: () => disk.isEmpty(),
    bindCluster: (uuid) => disk.bindCluster(uuid),
    persistEpoch: (epoch) => disk.persistEpoch(epoch),
    close: () => disk.close(),
  }
}

/** Knows the epoch as long as it lives. */
export function forgettingEpochs(disk: DataDirectory): DataDirectory {
  return {
    diskId: disk.diskId,
    db: disk.db,
    blobs: disk.blobs,
    epoch: disk.epoch,
    get clusterUuid() {
      return disk.clusterUuid
    },
    isEmpty: () => disk.isEmpty(),
    bindCluster: (uuid) => disk.bindCluster(uuid),
    persistEpoch: async () => {},
    close: () => disk.close(),
  }
}

type Changed = Partial<FactStore>

/** `change` says what of a reign is another than it should be. */
export function carelessElection(
  election: LeaderElection,
  change: (reign: Reign) => { readonly facts: Changed; readonly reign?: Partial<Reign> },
  afterwards: () => void = () => {},
): LeaderElection {
  return {
    start: (candidate) =>
      election.start({
        async onGranted(reign) {
          const changed = change(reign)
          await candidate.onGranted(reignOver(reign, { ...factsOver(reign.facts), ...changed.facts }, changed.reign))
          afterwards()
        },
      }),
    stepDown: (reason, options) => election.stepDown(reason, options),
    stop: () => election.stop(),
  }
}
function reignOver(reign: Reign, facts: FactStore, changed: Partial<Reign> = {}): Reign {
  return {
    epoch: reign.epoch,
    facts,
    signal: reign.signal,
    ...(reign.registrations ? { registrations: reign.registrations } : {}),
    get suspended() {
      return reign.suspended
    },
    holds: () => reign.holds(),
    whenConfirmed: () => reign.whenConfirmed(),
    publish: (info) => reign.publish(info),
    ...changed,
  }
}
function factsOver(facts: FactStore): FactStore {
  return {
    sync: () => facts.sync(),
    listJobs: () => facts.listJobs(),
    readJob: (jobId) => facts.readJob(jobId),
    createJob: (fact) => facts.createJob(fact),
    setJob: (fact, version) => facts.setJob(fact, version),
    deleteJob: (jobId, version) => facts.deleteJob(jobId, version),
    listRetained: () => facts.listRetained(),
    readRetained: (jobId) => facts.readRetained(jobId),
    setRetained: (fact) => facts.setRetained(fact),
    deleteRetained: (jobId) => facts.deleteRetained(jobId),
    listDisposals: () => facts.listDisposals(),
    setDisposal: (fact) => facts.setDisposal(fact),
    deleteDisposal: (requestId) => facts.deleteDisposal(requestId),
    listDrains: () => facts.listDrains(),
    setDrain: (fact) => facts.setDrain(fact),
    deleteDrain: (processId) => facts.deleteDrain(processId),
    readIsr: () => facts.readIsr(),
    setIsr: (replicas, version) => facts.setIsr(replicas, version),
    readCluster: () => facts.readCluster(),
    createCluster: (fact) => facts.createCluster(fact),
    setCluster: (fact, version) => facts.setCluster(fact, version),
    listMarks: () => facts.listMarks(),
    setMark: (mark) => facts.setMark(mark),
    deleteMark: (taskManagerId) => facts.deleteMark(taskManagerId),
  }
}

/** A new deployment drops the newest completed checkpoint. */
export function forgettingCheckpoints({ facts }: Reign): { facts: Changed } {
  const deployments = new Map<string, string | undefined>()
  const withoutNewest = (fact: JobFact): JobFact => ({ ...fact, checkpoints: fact.checkpoints.slice(0, -1) })
  return {
    facts: {
      setJob(fact, version) {
        const changed = deployments.has(fact.jobId) && deployments.get(fact.jobId) !== fact.deployment
        deployments.set(fact.jobId, fact.deployment)
        return facts.setJob(changed ? withoutNewest(fact) : fact, version)
      },
    },
  }
}

/** Leads whatever disk it has: it reads itself into the in-sync set. */
export function leadingAnyway(self: Replica) {
  return ({ facts }: Reign): { facts: Changed } => ({
    facts: {
      async readIsr() {
        const found = await facts.readIsr()
        if (!found || found.value.some(({ diskId }) => diskId === self.diskId)) return found
        return { ...found, value: [...found.value, self] }
      },
    },
  })
}

/** Goes on counting from the newest checkpoint, and not from the ids that were reserved. */
export function repeatingIds({ facts }: Reign): { facts: Changed } {
  return {
    facts: {
      async readJob(jobId) {
        const found = await facts.readJob(jobId)
        if (!found) return undefined
        const { value, version } = found
        return { version, value: { ...value, checkpointIdReserved: value.checkpoints.at(-1)?.id ?? 0 } }
      },
    },
  }
}

/** Writes over whatever session there is, and whatever has been written meanwhile; and is the last to know that it is no leader any more. */
export function writingOn(zookeeper: ZooKeeper, paths: ClusterPaths, clock: Clock) {
  const over = async <T>(write: (facts: FactStore) => Promise<T>): Promise<T> => {
    const session = await zookeeper.open()
    try {
      return await write(zooKeeperFactStore(session, paths))
    } finally {
      void session.close()
    }
  }
  return (reign: Reign): { facts: Changed; reign: Partial<Reign> } => {
    const late = new AbortController()
    reign.signal.addEventListener('abort', () => clock.setTimer(2_000, () => late.abort(reign.signal.reason)), { once: true })
    return {
      facts: {
        setJob: (fact) => over(async (facts) => facts.setJob(fact, (await facts.readJob(fact.jobId))!.version)),
        setIsr: (replicas) => over(async (facts) => facts.setIsr(replicas, (await facts.readIsr())?.version)),
      },
      reign: { signal: late.signal, holds: () => true, whenConfirmed: async () => {} },
    }
  }
}

/** Believes what it finds registered at once, whatever has just happened to ZooKeeper. */
export function trustingRegistrations(zookeeper: ZooKeeper, paths: ClusterPaths) {
  return (): { facts: Changed; reign: Partial<Reign> } => {
    let listed: ReadonlySet<string> | undefined
    const listeners: (() => void)[] = []
    const list = async () => {
      const session = await zookeeper.open()
      listed = new Set(await session.children(paths.registrations))
      for (const tell of listeners) tell()
      await session.close()
    }
    list().catch(() => {})
    const registrations: Registrations = {
      get listed() {
        return listed
      },
      watch: (onListed) => void listeners.push(onListed),
    }
    return { facts: {}, reign: { registrations } }
  }
}

/** Serves first and looks for jobs then. */
export function servingFirst(
  election: LeaderElection,
  clock: Clock,
  recover: (jobs: readonly Versioned<JobFact>[]) => Promise<void> | undefined,
): LeaderElection {
  let real: FactStore | undefined
  const change = ({ facts }: Reign) => {
    real = facts
    return { facts: { listJobs: async () => [] } }
  }
  return carelessElection(election, change, () => {
    void sleep(clock, 30)
      .then(() => readJobs(real!))
      .then(recover)
      .catch(() => {})
  })
}

/** TaskManagers that come to a new leader do not tell which splits their readers have. */
export function forgettingAssignments(registry: EndpointRegistry): EndpointRegistry {
  return {
    register<G extends object>(gateway: Gateway<G>, endpoint: Endpoint<G>, target?: string) {
      if (gateway.name !== 'ResourceManager') return registry.register(gateway, endpoint, target)
      const real = endpoint as unknown as Endpoint<ResourceManagerGateway>
      const registerTaskManager: typeof real.registerTaskManager = (registration, context) => {
        const attempts = registration.attempts.map(({ eventsReceived: _, ...attempt }) => ({ ...attempt, assignmentsReceived: {} }))
        return real.registerTaskManager({ ...registration, attempts }, context)
      }
      const methods = Object.keys(gateway.methods) as (keyof ResourceManagerGateway)[]
      const others = Object.fromEntries(methods.map((method) => [method, real[method].bind(real)]))
      const forgetful = { ...others, registerTaskManager }
      return registry.register(gateway, forgetful as unknown as Endpoint<G>, target)
    },
  }
}
