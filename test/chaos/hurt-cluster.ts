/** The cluster under test: ZooKeeper, JobManagers and TaskManagers, each on a host of its own, with what a fault needs to get at them. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { ClusterOverviewResponse } from '#protocol/rest/responses.js'
import { pause } from '../support/faults.js'
import { type Daemon, type DaemonKind, type Placement, ProcessCluster } from '../support/process-cluster.js'
import { type SmallDisk, smallDisk } from '../support/small-disk.js'
import { ZooKeeperEnsemble } from '../support/zookeeper-ensemble.js'
import type { Host, Network } from './hosts.js'

const DISK_MEGABYTES = 512
const RESPAWN_AFTER_MS = 500

/** A process on its host. */
export interface Target {
  readonly name: string
  readonly host: Host
  readonly isRunning: boolean
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void
  /** Waits for the end. */
  kill(signal: 'SIGKILL' | 'SIGTERM'): Promise<void>
  /** Starts it when it does not run; does not wait for what becomes of it. */
  start(): void
}
export interface DaemonTarget extends Target {
  readonly daemon: Daemon
  /** A fault has it down: nobody else starts it. */
  down: boolean
  /** The wall clock of its host. */
  shiftClock(offsetMs: number): void
}
export interface JobManagerTarget extends DaemonTarget {
  readonly disk: SmallDisk | undefined
  wipe(): void
}

export interface HurtClusterOptions {
  readonly network: Network
  readonly directory: string
  readonly jobManagers: number
  readonly taskManagers: number
  readonly slots: number
  /** JobManagers run under their supervisor. */
  readonly supervised: boolean
}
export const hostNames = (jobManagers: number, taskManagers: number): string[] => [
  ...[1, 2, 3].map((i) => `zk${i}`),
  ...Array.from({ length: jobManagers }, (_, i) => `jm${i}`),
  ...Array.from({ length: taskManagers }, (_, i) => `tm${i}`),
]

export class HurtCluster {
  readonly #teardowns: (() => void)[] = []
  #keeping = true
  #keeper: Promise<void> = Promise.resolve()
  /** Daemons that ended though nobody had asked them to, with the end of their logs. */
  readonly deserters: string[] = []

  private constructor(
    readonly ensemble: ZooKeeperEnsemble,
    readonly cluster: ProcessCluster,
    readonly zookeepers: readonly Target[],
    readonly jobManagers: readonly JobManagerTarget[],
    readonly taskManagers: readonly DaemonTarget[],
    teardowns: (() => void)[],
  ) {
    this.#teardowns = teardowns
  }

  static async start(options: HurtClusterOptions): Promise<HurtCluster> {
    const { network, directory, jobManagers, taskManagers, slots, supervised } = options
    const host = (name: string): Host => network.hosts.find((found) => found.name === name)!
    const hostOf = (kind: DaemonKind, i: number) => host(`${kind === 'jobmanager' ? 'jm' : 'tm'}${i}`)
    const clockFile = (kind: DaemonKind, i: number) => join(directory, `clock-${hostOf(kind, i).name}`)
    const placement = (kind: DaemonKind, i: number): Placement => {
      const { launcher, address } = hostOf(kind, i)
      const preload = `--import=file://${resolve('dist/test/chaos/host-clock.js')}`
      const settings: Record<string, string> =
        kind === 'jobmanager'
          ? { 'jobmanager.rpc.address': address, 'jobmanager.bind-host': address, 'rest.bind-address': address }
          : { 'taskmanager.host': address, 'taskmanager.bind-host': address }
      return { launcher, settings, env: { NODE_OPTIONS: preload, CHAOS_HOST_CLOCK: clockFile(kind, i) } }
    }
    const teardowns: (() => void)[] = []
    const teardown = (undo: () => void) => void teardowns.push(undo)
    const disks = Array.from({ length: jobManagers }, () => smallDisk({ teardown }, DISK_MEGABYTES))
    const dataOf = (i: number) => join(disks[i]?.path ?? join(directory, `disk-${i}`), 'data')
    const ensemble = await ZooKeeperEnsemble.start([1, 2, 3].map((i) => host(`zk${i}`)))
    try {
      const cluster = await ProcessCluster.start({
        jobManagers,
        taskManagers,
        slots,
        supervised,
        zookeeper: ensemble.connect,
        placement,
        jobManagerSettings: (i) => ({ 'jobmanager.data.dir': dataOf(i) }),
        settings: {
          'high-availability.zookeeper.client.session-timeout': '3 s',
          'jobstore.expiration-time': '30 d',
          'jobstore.max-capacity': '100000',
        },
      })
      const targetOf = (daemon: Daemon, i: number): DaemonTarget => ({
        name: daemon.name,
        host: hostOf(daemon.kind, i),
        daemon,
        down: false,
        get isRunning() {
          return daemon.isRunning
        },
        signal: (signal) => daemon.signal(signal),
        kill: async (signal) => void (await daemon.kill(signal)),
        start: () => {
          if (!daemon.isRunning) daemon.spawn()
        },
        shiftClock: (offsetMs) => writeFileSync(clockFile(daemon.kind, i), String(offsetMs)),
      })
      return new HurtCluster(
        ensemble,
        cluster,
        ensemble.members.map((member, i) => ({
          name: `zookeeper-${i + 1}`,
          host: host(`zk${i + 1}`),
          get isRunning() {
            return member.isRunning
          },
          signal: (signal) => member.signal(signal),
          kill: (signal) => member.stop(signal),
          start: () => void member.run().catch(() => {}), // Without a quorum it serves later.
        })),
        cluster.jobManagers.map((daemon, i) =>
          Object.assign(targetOf(daemon, i), { disk: disks[i], wipe: () => rmSync(dataOf(i), { recursive: true, force: true }) }),
        ),
        cluster.taskManagers.map(targetOf),
        teardowns,
      )
    } catch (error) {
      await ensemble.remove()
      for (const undo of teardowns) undo()
      throw error
    }
  }

  get daemons(): readonly DaemonTarget[] {
    return [...this.jobManagers, ...this.taskManagers]
  }
  /** REST address of the one that says that it leads, or that others say it of; undefined when nobody answers. */
  async leaderAddress(): Promise<string | undefined> {
    return (await this.cluster.rest<ClusterOverviewResponse>('/overview', { withinMs: 1 }).catch(() => undefined))?.leader.address
  }

  /** Does what systemd does: a daemon that ended by itself is started again, and told of. */
  keep(tell: (line: string) => void): void {
    this.#keeper = (async () => {
      while (this.#keeping) {
        for (const target of this.daemons) {
          if (target.down || target.isRunning) continue
          const end = target.daemon.log.slice(-2_000)
          await pause(RESPAWN_AFTER_MS)
          if (target.down || target.isRunning || !this.#keeping) continue
          this.deserters.push(`${target.name} ended by itself: ${end}`)
          tell(`${target.name} has ended by itself; it is started again`)
          target.start()
        }
        await pause(RESPAWN_AFTER_MS)
      }
    })()
  }

  /** All that the daemons said, for the directory is going to be removed. */
  saveLogs(directory: string): void {
    mkdirSync(directory, { recursive: true })
    for (const { name, daemon } of this.daemons) writeFileSync(join(directory, `${name}.log`), daemon.log)
  }

  async stop(): Promise<void> {
    this.#keeping = false
    await this.#keeper
    for (const { signal } of [...this.zookeepers, ...this.daemons]) signal('SIGCONT')
    await this.cluster.stop()
    await this.ensemble.remove()
    for (const undo of this.#teardowns) undo()
  }
}
