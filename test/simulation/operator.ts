/**
 * Who runs `flott reset-in-sync`, and knows the cluster from outside only. Once in a history all disks of the in-sync set are lost:
 *   set        -> lost:      each of its hosts comes back empty, or never, or is off with its disk, and comes back when it is too late
 *   lost       -> overridden: the operator tries again and again, with any JobManager that answers, until one leads
 *   overridden -> recovered: hosts that were off come back, with disks of an earlier incarnation
 * A JobManager that had left the set before has a stale disk. At other times the operator tries as well: that is refused while somebody
 * of the set leads or is about to. It may take long to decide, and in the meantime its session may end, it may be killed, or a host may
 * come back.
 */
import { sleep } from '#core/clock.js'
import { between, pick, type Random } from '#core/random.js'
import type { SimulatedCluster } from './simulated-cluster.js'

const AGAIN_MS = 1_000

export class Operator {
  #tries = 0
  /** With their disks. */
  readonly #off: string[] = []

  constructor(
    private readonly cluster: SimulatedCluster,
    private readonly random: Random,
    private readonly onOverridden: () => void,
  ) {}

  /** What happens within that time, and what follows from it. */
  start(withinMs: number): void {
    for (let tries = between(this.random, 0, 3); tries > 0; tries--) this.#after(between(this.random, 0, withinMs), () => void this.#try())
    if (this.#chance(0.8)) this.#after(between(this.random, 300, withinMs), () => this.#beginLoss())
  }

  /** Maybe one leaves the set first: what its disk has is stale then. */
  #beginLoss(): void {
    const { cluster } = this
    const { invariants, leader } = cluster
    const standby = invariants.isr.find(({ jobManagerId }) => jobManagerId !== leader)?.jobManagerId
    const leavesFirst = standby !== undefined && this.#chance(0.7)
    if (leavesFirst && this.#chance(0.5)) cluster.stop(standby)
    else if (leavesFirst) cluster.switchOff(standby)
    this.#after(leavesFirst ? between(this.random, 200, 5_000) : 0, () => this.#loseSet(standby))
  }
  #loseSet(stale: string | undefined): void {
    const { cluster } = this
    const jobManagers = cluster.names.filter((name) => name.startsWith('jm'))
    const members = jobManagers.filter((name) => cluster.invariants.isr.some(({ jobManagerId }) => jobManagerId === name))
    // One is left to lead, whatever becomes of the others.
    const survivor = this.#pick(jobManagers)
    for (const name of members) {
      const fate = this.random.next()
      if (name !== survivor && fate < 0.3) {
        cluster.switchOff(name)
        this.#off.push(name)
        continue
      }
      cluster.wipe(name)
      if (name !== survivor && fate < 0.5) cluster.switchOff(name)
      else this.#after(between(this.random, 100, 4_000), () => this.#start(name))
    }
    if (stale !== undefined && !members.includes(stale)) this.#after(between(this.random, 0, 3_000), () => this.#start(stale))
    this.#after(between(this.random, 0, 8_000), () => void this.#override())
  }
  #start(name: string): void {
    this.cluster.switchOn(name)
    this.cluster.startProcess(name)
  }

  /** Until somebody leads. */
  async #override(): Promise<void> {
    while (this.cluster.leader === undefined) {
      if (await this.#try()) break
      await sleep(this.cluster.clock, AGAIN_MS)
    }
    for (const name of this.#off.splice(0)) this.#after(between(this.random, 0, 6_000), () => this.cluster.switchOn(name))
  }

  /** Whether it was done. */
  async #try(): Promise<boolean> {
    const { cluster } = this
    const disk = this.#pick(cluster.diskAnswers)
    if (!disk) return false
    const client = `operator#${++this.#tries}`
    const { jobManagerId, diskId } = disk.replica
    cluster.note(client, 'resets the in-sync set', { jobManagerId, diskId })
    try {
      const done = await Promise.race([cluster.resetInSync(client, disk, () => this.#decide(client)), this.#killed(client)])
      cluster.note(client, done ? 'has done so' : 'has not done so')
      if (done) this.onOverridden()
      return done
    } catch (error) {
      cluster.note(client, 'was refused', { error })
      return false
    }
  }
  async #decide(client: string): Promise<boolean> {
    const { clock, zookeeper } = this.cluster
    if (this.#chance(0.3)) await sleep(clock, between(this.random, 0, 5_000))
    const off = this.#pick(this.#off)
    if (off !== undefined && this.#chance(0.3)) this.cluster.switchOn(off)
    if (this.#chance(0.2)) {
      zookeeper.expire(client)
      await sleep(clock, between(this.random, 0, 4_000)) // It does not notice, and somebody may lead by then.
    }
    return this.#chance(0.9)
  }
  /** Now and then, in the middle of whatever it does. */
  #killed(client: string): Promise<false> {
    const { clock, zookeeper } = this.cluster
    if (!this.#chance(0.1)) return new Promise(() => {})
    return sleep(clock, between(this.random, 0, 40)).then(() => {
      zookeeper.crash(client)
      return false
    })
  }

  #after(ms: number, act: () => void): void {
    this.cluster.clock.setTimer(ms, act)
  }
  #chance(of: number): boolean {
    return this.random.next() < of
  }
  #pick<T>(from: readonly T[]): T | undefined {
    return from.length === 0 ? undefined : pick(this.random, from)
  }
}
