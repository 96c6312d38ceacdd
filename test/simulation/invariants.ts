/**
 * What must be true at every moment, whatever fails: checked at each change of ZooKeeper's tree, at each call that takes effect and at
 * each commit. The checkers look from outside, at the tree and the disks, never through the code under test.
 */
import { unpack } from 'msgpackr'
import { compareEpochs, type Epoch, formatEpoch } from '#core/epoch.js'
import type { SimulatedTree } from '#ha/memory/simulated-tree.js'
import type { ClusterPaths } from '#ha/zookeeper/zookeeper.js'
import { chunksOf } from '#jobmanager/replication/live-blobs.js'
import { decodeManifest } from '#protocol/checkpoint/manifest-codec.js'
import type { DeploymentRecord } from '#protocol/graph/deployment.js'
import { decodeDeployment } from '#protocol/graph/deployment-format.js'
import type { ClusterFact, JobFact, LeaderInfo, Replica } from '#protocol/ha/facts.js'
import type { SimulatedDisk } from './simulated-disk.js'

/** What the election node of an override holds. */
const RESET_IN_SYNC = 'reset-in-sync'

export class Invariants {
  /** What was found broken, the first first. */
  readonly problems: string[] = []
  readonly #facts = new Map<string, JobFact>()
  /** Newest completed checkpoint by job; a job that has FINISHED names none any more. */
  readonly #completed = new Map<string, number>()
  /** The newest checkpoint that a task was asked for, by job. */
  readonly #triggered = new Map<string, { readonly epoch: Epoch; readonly checkpointId: number }>()
  #isr: readonly Replica[] = []
  #published: Epoch | undefined
  readonly #leaders = new Map<string, string>()
  /** Highest epoch of a call that took effect, by process. */
  readonly #taken = new Map<string, Epoch>()
  /** By disk id. A wiped disk is none any more. */
  readonly #disks = new Map<string, SimulatedDisk>()
  readonly #deployments = new Map<string, DeploymentRecord>()
  /** Names that a manifest names, and its own. */
  readonly #namedBy = new Map<string, readonly string[]>()

  /** 'disk blob': lost by a fault, or given by nobody. */
  readonly #holes = new Set<string>()
  /** Of jobs that had not ended: what they named and the disk had not that became the in-sync set by an operator's override. */
  readonly #lost = new Map<string, Set<string>>()
  /** The same of all jobs. A disk that joins later may have it. */
  readonly #missed = new Set<string>()
  /** Since the present set is there. */
  #incarnation = 0
  #overrides = 0

  constructor(
    private readonly tree: SimulatedTree,
    private readonly paths: ClusterPaths,
    private readonly expected: { readonly attemptsStay: boolean } = { attemptsStay: false },
  ) {
    tree.observer = (path) => this.#changed(path)
  }

  get facts(): ReadonlyMap<string, JobFact> {
    return this.#facts
  }
  get isr(): readonly Replica[] {
    return this.#isr
  }
  /** How often an operator's override has made another disk the in-sync set. */
  get overrides(): number {
    return this.#overrides
  }
  /** Whether the disk of this member of the set has it. */
  holds(jobManagerId: string, name: string): boolean {
    const member = this.#isr.find((replica) => replica.jobManagerId === jobManagerId)
    return member !== undefined && (this.#disks.get(member.diskId)?.holds(name) ?? false)
  }
  /** A job may fail that has lost something by an override, and must name it. */
  mayFail(fact: JobFact): boolean {
    const lost = this.#lost.get(fact.jobId)
    const result = fact.result === undefined ? undefined : this.#contentOf(fact.result)
    const reason = result === undefined ? '' : JSON.stringify(unpack(result))
    if (!lost || !result) return lost !== undefined // How it ended may be lost, too.
    if (![...lost].some((name) => reason.includes(name)))
      this.violated(`job ${fact.jobId} has FAILED, and names nothing that it lost: ${reason}`)
    return true
  }
  violated(text: string): void {
    this.problems.push(text)
  }

  diskIs(diskId: string, disk: SimulatedDisk): void {
    for (const [id, known] of this.#disks) if (known === disk) this.#disks.delete(id)
    this.#disks.set(diskId, disk)
  }
  wiped(disk: SimulatedDisk): void {
    for (const [id, known] of this.#disks) if (known === disk) this.#disks.delete(id)
  }
  intact({ diskId }: Replica): boolean {
    return this.#disks.has(diskId)
  }

  /** A JobManager has begun to lead. */
  leads(name: string, diskId: string, epoch: Epoch): void {
    const text = formatEpoch(epoch)
    const known = this.#leaders.get(text)
    if (known !== undefined && known !== name) this.violated(`epoch ${text} has two leaders, ${known} and ${name}`)
    this.#leaders.set(text, name)
    if (!this.#isr.some((replica) => replica.diskId === diskId)) this.violated(`${name} leads, but its disk is not in the in-sync set`)
    this.answersUnder(name, diskId, epoch)
  }
  /** Something is acknowledged under the epoch: it must be on disk by then, or a later incarnation would take calls of an earlier one. */
  answersUnder(name: string, diskId: string, epoch: Epoch): void {
    const disk = this.#disks.get(diskId)
    if (disk && compareEpochs(disk.epoch, epoch) < 0)
      this.violated(`${name} answers under epoch ${formatEpoch(epoch)}, but ${formatEpoch(disk.epoch)} is on its disk`)
  }
  /** A call takes effect in a process. */
  takesCall(process: string, epoch: Epoch): void {
    const highest = this.#taken.get(process)
    if (highest && compareEpochs(epoch, highest) < 0)
      this.violated(`${process} takes a call of epoch ${formatEpoch(epoch)} after one of ${formatEpoch(highest)}`)
    else this.#taken.set(process, epoch)
  }
  /** Something of the job has become visible outside, as far as the checkpoint. */
  commits(jobId: string, checkpointId: number, what: string): void {
    const newest = this.#completed.get(jobId) ?? 0
    if (newest < checkpointId) this.violated(`${what} is committed, but checkpoint ${checkpointId} is not complete (${newest} is)`)
  }

  /** A task is asked for a checkpoint. Late calls of an earlier reign may come, too. */
  triggers(jobId: string, epoch: Epoch, checkpointId: number): void {
    const known = this.#triggered.get(jobId)
    const order = known && compareEpochs(epoch, known.epoch)
    if (known && order! > 0 && checkpointId <= known.checkpointId)
      this.violated(
        `job ${jobId}: checkpoint ${checkpointId} of epoch ${formatEpoch(epoch)} comes after ${known.checkpointId} of ${formatEpoch(known.epoch)}`,
      )
    if (!known || order! > 0 || (order === 0 && checkpointId > known.checkpointId)) this.#triggered.set(jobId, { epoch, checkpointId })
  }

  #changed(path: string): void {
    try {
      this.#check(path)
    } catch (error) {
      this.violated(`what ${path} names can not be read: ${(error as Error).message}`) // Not to be thrown into who has written it.
    }
  }
  #check(path: string): void {
    const { paths } = this
    if (path === paths.isr) this.#isrChanged()
    else if (path === paths.leader) this.#leaderChanged()
    else if (path.startsWith(`${paths.jobs}/`)) this.#jobChanged(path.slice(paths.jobs.length + 1))
  }
  #read<T>(path: string): T | undefined {
    const node = this.tree.get(path)
    return node && (JSON.parse(node.data.toString()) as T)
  }

  #leaderChanged(): void {
    const leader = this.#read<LeaderInfo>(this.paths.leader)
    if (!leader) return
    if (leader.epoch.incarnation !== this.#clusterIncarnation)
      this.violated(`${leader.jobManagerId} leads under ${formatEpoch(leader.epoch)} in incarnation ${this.#clusterIncarnation}`)
    if (this.#published && compareEpochs(leader.epoch, this.#published) < 0)
      this.violated(`the published epoch falls from ${formatEpoch(this.#published)} to ${formatEpoch(leader.epoch)}`)
    this.#published = leader.epoch
  }

  #isrChanged(): void {
    const before = this.#isr
    this.#isr = this.#read<Replica[]>(this.paths.isr) ?? []
    if (this.#isr.length === 0) this.violated('the in-sync set is empty')
    const joined = this.#isr.filter(({ diskId }) => !before.some((replica) => replica.diskId === diskId))
    if (before.length > 0 && joined.length === this.#isr.length) this.#overridden()
    // Who joins after an override may have what nobody else had: then it has reached all.
    const checked = this.#missed.size > 0 ? this.#isr : joined
    for (const fact of this.#facts.values()) this.#namesOnDisk(fact, checked)
  }

  get #clusterIncarnation(): number {
    return this.#read<ClusterFact>(this.paths.cluster)?.incarnation ?? 0
  }
  /** Nobody of the set before has stayed: an operator has decided. What the disk lacks that is the set now is lost, and nothing else. */
  #overridden(): void {
    const { paths, tree } = this
    this.#overrides++
    const first = [...tree.children(paths.election)].sort((a, b) => (a.slice(-10) < b.slice(-10) ? -1 : 1))[0]
    const who = first === undefined ? 'nobody' : tree.get(`${paths.election}/${first}`)!.data.toString()
    if (who !== RESET_IN_SYNC) this.violated(`the in-sync set is replaced while ${who} is first in the election`)
    if (tree.get(paths.leader)) this.violated('the in-sync set is replaced while somebody leads')
    if (this.#clusterIncarnation <= this.#incarnation)
      this.violated(`the in-sync set is replaced, and the incarnation stays ${this.#incarnation}`)
    this.#incarnation = this.#clusterIncarnation
    for (const fact of this.#facts.values()) {
      const names = [...this.#namesOf(fact)]
      const missing = names.filter((name) => !this.#isThere(name))
      for (const name of missing) this.#missed.add(name)
      if (fact.terminal || missing.length === 0) continue
      this.#lost.set(fact.jobId, new Set([...(this.#lost.get(fact.jobId) ?? []), ...missing]))
    }
  }

  #jobChanged(jobId: string): void {
    const before = this.#facts.get(jobId)
    const fact = this.#read<JobFact>(this.paths.job(jobId))
    if (!fact) {
      this.violated(`the node of job ${jobId} is gone`)
      return
    }
    this.#facts.set(jobId, fact)
    this.#completed.set(jobId, Math.max(this.#completed.get(jobId) ?? 0, fact.checkpoints.at(-1)?.id ?? 0))
    if (before) this.#follows(before, fact)
    this.#namesOnDisk(fact, this.#isr)
  }

  #follows(before: JobFact, fact: JobFact): void {
    const { jobId } = fact
    const newest = before.checkpoints.at(-1)?.id ?? 0
    if (before.terminal && fact.terminal?.status !== before.terminal.status)
      this.violated(`job ${jobId}: it was ${before.terminal.status} and is ${fact.terminal?.status ?? 'running'}`)
    if (fact.terminal?.status === 'FINISHED' || before.terminal) return // It needs its checkpoints no more, or somebody disposed of them.
    const ids = fact.checkpoints.map((checkpoint) => checkpoint.id)
    if ((ids.at(-1) ?? 0) < newest) this.violated(`job ${jobId}: completed checkpoint ${newest} is lost, ${ids.at(-1)} is the newest now`)
    if (ids.some((id, i) => i > 0 && id <= ids[i - 1]!)) this.violated(`job ${jobId}: checkpoint ids do not rise: ${ids.join(', ')}`)
    const added = fact.checkpoints.filter(({ id }) => id > newest)
    if (added.some(({ id }) => id > fact.checkpointIdReserved)) this.violated(`job ${jobId}: checkpoint ${ids.at(-1)} was not reserved`)
    for (const { id, manifest } of fact.checkpoints)
      if (before.checkpoints.some((known) => known.id === id && known.manifest !== manifest))
        this.violated(`job ${jobId}: checkpoint ${id} has become another one`)
    if (fact.checkpointIdReserved < before.checkpointIdReserved) this.violated(`job ${jobId}: reserved checkpoint ids are free again`)
    if (fact.attemptNumber < before.attemptNumber) this.violated(`job ${jobId}: attempt numbers fall`)
    if (fact.deployment !== undefined && fact.deployment !== before.deployment)
      this.#deployed(before, fact, newest || (before.startsFrom?.id ?? 0))
  }

  #deployed(before: JobFact, { jobId, deployment: name }: JobFact, newest: number): void {
    const deployment = this.#deployment(name!)
    if (!deployment) return // Told by the one rule.
    const subtasks = deployment.attempts.map(({ vertexId, subtaskIndex }) => `${vertexId} ${subtaskIndex}`)
    if (new Set(subtasks).size < subtasks.length) this.violated(`job ${jobId}: deployment ${name} has two attempts of a subtask`)
    const last = before.deployment === undefined ? undefined : this.#deployment(before.deployment)
    const known = new Set(last?.attempts.map(({ attemptId }) => attemptId))
    if (this.expected.attemptsStay)
      for (const { vertexId, subtaskIndex, attemptId } of last?.attempts ?? [])
        if (!deployment.attempts.some((attempt) => attempt.attemptId === attemptId))
          this.violated(`job ${jobId}: no task failed, but ${vertexId} ${subtaskIndex} is no longer ${attemptId}`)
    const begins = deployment.attempts.some(({ attemptId }) => !known.has(attemptId))
    const from = deployment.restoredCheckpoint?.id ?? 0
    if (begins && from !== newest) this.violated(`job ${jobId}: new attempts restore checkpoint ${from}, but ${newest} is complete`)
  }
  #deployment(name: string): DeploymentRecord | undefined {
    let deployment = this.#deployments.get(name)
    const bytes = deployment ? undefined : this.#contentOf(name)
    if (bytes) {
      deployment = decodeDeployment(bytes)
      this.#deployments.set(name, deployment)
    }
    return deployment
  }

  /** The one rule: a node names a blob only when every member of the in-sync set has it on disk. */
  #namesOnDisk(fact: JobFact, members: readonly Replica[]): void {
    for (const member of members) {
      const disk = this.#disks.get(member.diskId)
      if (!disk) continue // It was lost by a fault.
      for (const name of this.#namesOf(fact))
        if (!disk.holds(name) && !this.#isHole(member, name))
          this.violated(`job ${fact.jobId} names ${name}, which in-sync ${member.jobManagerId} does not have`)
    }
  }
  /** Its disk has lost it, or nobody could give it. */
  #isHole({ diskId }: Replica, name: string): boolean {
    if (this.#missed.has(name)) return !this.#isThere(name)
    const hole = `${diskId} ${name}`
    if (this.#holes.has(hole)) return true
    const isLost = [...this.#holes].some((known) => known.endsWith(` ${name}`))
    if (!isLost || this.#isThere(name)) return false
    this.#holes.add(hole)
    return true
  }
  #isThere(name: string): boolean {
    return this.#isr.some((member) => this.#disks.get(member.diskId)?.holds(name))
  }
  /** Whether a disk lacks something that is needed. */
  get hasHoles(): boolean {
    const named = new Set([...this.#facts.values()].flatMap((fact) => [...this.#namesOf(fact)]))
    return [...this.#holes].some((hole) => {
      const [diskId, name] = hole.split(' ') as [string, string]
      return named.has(name) && this.#disks.get(diskId)?.holds(name) === false
    })
  }
  /** A fault: the disk loses a blob that another one in the set has. Which one; undefined where there is none. */
  loseBlob({ diskId }: Replica, others: readonly Replica[], choose: (names: readonly string[]) => string | undefined): string | undefined {
    const named = [...this.#facts.values()].filter(({ terminal }) => !terminal).flatMap((fact) => [...this.#namesOf(fact)])
    const holders = [diskId, ...others.map((other) => other.diskId)].map((id) => this.#disks.get(id))
    const name = choose(named.filter((candidate) => holders.every((disk) => disk?.holds(candidate))))
    if (name !== undefined) this.#holes.add(`${diskId} ${name}`)
    return name
  }
  *#namesOf(fact: JobFact): Iterable<string> {
    for (const name of [fact.jobGraph, fact.artifact, fact.result, fact.history]) if (name !== undefined) yield name
    if (fact.deployment !== undefined) yield* this.#deployedBlobs(fact, fact.deployment)
    for (const { manifest } of fact.checkpoints) yield* this.#reachedFrom(manifest)
    if (fact.startsFrom) yield* this.#reachedFrom(fact.startsFrom.manifest)
  }
  /** The deployment pins the manifest that it restores from, until a later checkpoint shows that all its attempts run. */
  *#deployedBlobs({ checkpoints }: JobFact, name: string): Iterable<string> {
    yield name
    const restored = this.#isUnknown(name) ? undefined : this.#deployment(name)?.restoredCheckpoint
    if (restored && restored.id >= (checkpoints.at(-1)?.id ?? 0)) yield* this.#reachedFrom(restored.manifest)
  }
  #reachedFrom(name: string): readonly string[] {
    if (this.#isUnknown(name)) return [name]
    const known = this.#namedBy.get(name)
    if (known) return known
    const bytes = this.#contentOf(name)
    if (!bytes) return [name]
    const reached = [name, ...chunksOf(decodeManifest(bytes))]
    this.#namedBy.set(name, reached)
    return reached
  }
  /** Lost with an override: what it named nobody knows. */
  #isUnknown(name: string): boolean {
    return this.#missed.has(name) && !this.#isThere(name)
  }
  #contentOf(name: string): Buffer | undefined {
    for (const disk of this.#disks.values()) {
      const bytes = disk.contentOf(name)
      if (bytes) return bytes
    }
    return undefined
  }
}
