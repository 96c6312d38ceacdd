/**
 * Rules that can be broken on purpose: a checker that can not fail proves nothing. Each switch breaks one rule in the thin layer between
 * the simulation and the product, in the way in which a bug would.
 */
import { HighestEpoch } from '#core/epoch.js'
import type { BlobStore, ReplicatedBlobStore } from '#protocol/ha/blobs.js'
import type { FactStore, JobFact } from '#protocol/ha/facts.js'
import type { LeaderElection, Reign } from '#protocol/ha/leadership.js'

export const BROKEN_RULES = {
  'skip-epoch-check': 'a process takes calls of any leader, however old',
  'name-before-replication': 'a blob counts as stored when it is on the leader’s own disk',
  'commit-before-completion': 'a task is told that a checkpoint is complete when it has acknowledged it',
  'forget-restored-state': 'a restarted task begins without its state',
  'lose-completed-checkpoint': 'a new deployment drops the newest completed checkpoint',
} as const
export type BrokenRule = keyof typeof BROKEN_RULES

export class CarelessEpoch extends HighestEpoch {
  override adopt(): true {
    return true
  }
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

export function losingCheckpoints(election: LeaderElection): LeaderElection {
  return {
    start: (candidate) => election.start({ onGranted: (reign) => candidate.onGranted(reignOver(reign, forgetful(reign.facts))) }),
    stepDown: (reason, options) => election.stepDown(reason, options),
    stop: () => election.stop(),
  }
}
function reignOver(reign: Reign, facts: FactStore): Reign {
  return {
    epoch: reign.epoch,
    facts,
    signal: reign.signal,
    get suspended() {
      return reign.suspended
    },
    holds: () => reign.holds(),
    whenConfirmed: () => reign.whenConfirmed(),
    publish: (info) => reign.publish(info),
  }
}
function forgetful(facts: FactStore): FactStore {
  const deployments = new Map<string, string | undefined>()
  return {
    sync: () => facts.sync(),
    listJobs: () => facts.listJobs(),
    readJob: (jobId) => facts.readJob(jobId),
    createJob: (fact) => facts.createJob(fact),
    setJob: (fact, version) => {
      const changed = deployments.has(fact.jobId) && deployments.get(fact.jobId) !== fact.deployment
      deployments.set(fact.jobId, fact.deployment)
      return facts.setJob(changed ? withoutNewest(fact) : fact, version)
    },
    deleteJob: (jobId, version) => facts.deleteJob(jobId, version),
    readIsr: () => facts.readIsr(),
    setIsr: (replicas, version) => facts.setIsr(replicas, version),
    readCluster: () => facts.readCluster(),
    createCluster: (fact) => facts.createCluster(fact),
    setCluster: (fact, version) => facts.setCluster(fact, version),
  }
}
function withoutNewest(fact: JobFact): JobFact {
  return { ...fact, checkpoints: fact.checkpoints.slice(0, -1) }
}
