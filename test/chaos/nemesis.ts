/** Does what a plan says to a cluster, and takes it back. What a fault needs and this machine has not, is left out and told. */
import { pause } from '../support/faults.js'
import type { Network } from './hosts.js'
import type { DaemonTarget, HurtCluster, JobManagerTarget, Target } from './hurt-cluster.js'
import { chosen, type Fault, nameOf, type Step } from './plan.js'

const LEADER_WITHIN_MS = 10_000
const SUCCESSOR_WITHIN_MS = 60_000
const CLOCK_JUMP_MAX_MS = 2 * 3_600_000

export interface Injected {
  readonly fault: string
  readonly victim: string
  /** It could not be done. */
  readonly leftOut?: string
}

export class Nemesis {
  /** Victims of the faults that are not yet taken back. */
  readonly #taken = new Set<Target>()

  constructor(
    private readonly hurt: HurtCluster,
    private readonly network: Network,
  ) {}

  /** All faults of the step, each at its time; resolves when all are taken back. */
  async inject(step: Step): Promise<readonly Injected[]> {
    return Promise.all(step.faults.map((fault) => this.#inject(fault)))
  }

  async #inject(fault: Fault): Promise<Injected> {
    await pause(fault.atMs)
    const name = nameOf(fault)
    if (this.network.slowness === undefined && ['cut', 'mute', 'slow'].includes(fault.harm))
      return { fault: name, victim: '', leftOut: 'hosts have no links here' }
    if (fault.harm === 'all-killed' || fault.harm === 'all-stopped' || fault.harm === 'zookeeper-quorum-lost') {
      await this.#disaster(fault)
      return { fault: name, victim: fault.harm === 'zookeeper-quorum-lost' ? 'two of three' : 'all' }
    }
    const victim = await this.#victim(fault)
    if (victim === undefined) return { fault: name, victim: '', leftOut: 'all that it could be done to are victims already' }
    this.#taken.add(victim)
    try {
      const leftOut = await this.#harm(fault, victim)
      return { fault: name, victim: victim.name, ...(leftOut === undefined ? {} : { leftOut }) }
    } finally {
      this.#taken.delete(victim)
    }
  }

  async #victim({ role, draw }: Fault): Promise<Target | undefined> {
    const free = (targets: readonly Target[]) => targets.filter((target) => !this.#taken.has(target))
    if (role === 'zookeeper') return chosen(free(this.hurt.zookeepers), draw)
    if (role === 'taskmanager') return chosen(free(this.hurt.taskManagers), draw)
    const leader = await this.#leader()
    const jobManagers = free(this.hurt.jobManagers)
    // While nobody leads, one is as good as another.
    const fitting = jobManagers.filter((target) => leader === undefined || (target === leader) === (role === 'leader'))
    return chosen(fitting.length > 0 ? fitting : jobManagers, draw)
  }
  async #leader(withinMs = LEADER_WITHIN_MS): Promise<JobManagerTarget | undefined> {
    const until = performance.now() + withinMs
    while (performance.now() < until) {
      const address = await this.hurt.leaderAddress()
      const found = this.hurt.jobManagers.find(
        ({ isRunning, daemon }) => isRunning && address !== undefined && daemon.restUrlIfReady === address,
      )
      if (found) return found
      await pause(100)
    }
    return undefined
  }

  /** The reason why it was left out. */
  async #harm(fault: Fault, victim: Target): Promise<string | undefined> {
    const { harm, lengthMs, degree } = fault
    const { hosts } = this.network
    const others = hosts.filter((host) => host !== victim.host)
    switch (harm) {
      case 'kill':
      case 'terminate':
        return this.#whileDown([victim], harm === 'kill' ? 'SIGKILL' : 'SIGTERM', () => pause(lengthMs))
      case 'stop':
        victim.signal('SIGSTOP')
        await pause(lengthMs)
        return victim.signal('SIGCONT') as undefined
      case 'cut':
        await this.network.cut(victim.host)
        await pause(lengthMs)
        await this.network.mend(victim.host)
        return undefined
      case 'mute': {
        // All, or one other host.
        const unheard = degree < 0.5 ? others : [chosen(others, (degree - 0.5) * 2)!]
        await this.network.mute(victim.host, unheard)
        await pause(lengthMs)
        await this.network.unmute(victim.host, unheard)
        return undefined
      }
      case 'slow': {
        const line = {
          delayMs: Math.round(20 + degree * 400),
          lossPercent: Math.round(degree * 10),
          kilobitsPerSecond: Math.round(64 + (1 - degree) * 1_000),
        }
        await this.network.slow(victim.host, line)
        await pause(lengthMs)
        await this.network.unslow(victim.host)
        return undefined
      }
      case 'clock-jump': {
        const target = victim as DaemonTarget
        target.shiftClock(Math.round((degree * 2 - 1) * CLOCK_JUMP_MAX_MS))
        await pause(lengthMs)
        target.shiftClock(0)
        return undefined
      }
      case 'disk-full': {
        const { disk } = victim as JobManagerTarget
        if (disk === undefined) return 'mounting is not permitted here'
        disk.fill()
        await pause(lengthMs)
        disk.free()
        return undefined
      }
      case 'data-wiped':
        return this.#wipe(victim as JobManagerTarget)
      default:
        throw new Error(`${harm} is none for one victim`)
    }
  }

  /** Only while another one leads, and so has all: what every disk of the in-sync set has lost is lost. */
  async #wipe(victim: JobManagerTarget): Promise<string | undefined> {
    let leftOut: string | undefined
    await this.#whileDown([victim], 'SIGKILL', async () => {
      if (await this.#leader(SUCCESSOR_WITHIN_MS)) victim.wipe()
      else leftOut = 'nobody else could lead'
    })
    return leftOut
  }

  async #disaster({ harm, draw, lengthMs }: Fault): Promise<void> {
    const { zookeepers, daemons } = this.hurt
    const victims: readonly Target[] =
      harm === 'zookeeper-quorum-lost' ? zookeepers.filter((member) => member !== chosen(zookeepers, draw)) : [...zookeepers, ...daemons]
    if (harm === 'all-stopped') {
      for (const victim of victims) victim.signal('SIGSTOP')
      await pause(lengthMs)
      for (const victim of victims) victim.signal('SIGCONT')
    } else await this.#whileDown(victims, 'SIGKILL', () => pause(lengthMs))
  }

  async #whileDown(victims: readonly Target[], signal: 'SIGKILL' | 'SIGTERM', meanwhile: () => Promise<void>): Promise<undefined> {
    const setDown = (down: boolean) => {
      for (const victim of victims) if ('down' in victim) victim.down = down
    }
    setDown(true)
    await Promise.all(victims.map((victim) => victim.kill(signal)))
    await meanwhile()
    for (const victim of victims) victim.start()
    setDown(false)
    return undefined
  }
}
