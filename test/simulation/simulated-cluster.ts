/**
 * A whole cluster in one thread: real JobManagers, TaskManagers and slot workers over a simulated network, ZooKeeper and disks, under a
 * fake clock. All chance comes from one seed, so that a seed is a whole history.
 */
import { graphOfFunction } from '#client/submit/program-runner.js'
import { FlottError } from '#core/errors.js'
import { between, pick, type Random, seededRandom } from '#core/random.js'
import { SimulatedZooKeeper } from '#ha/memory/simulated-zookeeper.js'
import { type ResetOptions, resetInSync } from '#ha/zookeeper/reset-in-sync.js'
import { ClusterPaths } from '#ha/zookeeper/zookeeper.js'
import type { Leading } from '#jobmanager/job-manager.js'
import type { DrainStatus, JobDetails } from '#protocol/gateways/dispatcher-gateway.js'
import type { JobGraph } from '#protocol/graph/job-graph.js'
import { LoopbackNetwork } from '#rpc/loopback.js'
import { LoopbackDataPorts } from '#taskmanager/network/loopback-transport.js'
import { FunctionLoader } from '#usercode/program-loader.js'
import { FakeClock } from '../support/fake-clock.js'
import type { MemoryChunkFiles } from '../support/memory-chunk-files.js'
import type { BrokenRule } from './broken-rules.js'
import { carelessOperator } from './careless-operator.js'
import { Invariants } from './invariants.js'
import { SimulatedDisk } from './simulated-disk.js'
import { type DiskAnswer, type SimulatedJobManager, startSimulatedJobManager } from './simulated-job-manager.js'
import { startSimulatedTaskManager } from './simulated-task-manager.js'
import type { Trouble } from './workloads.js'
import { type AttemptRecord, type SimulatedProcess, TIMING, type Timing, type World } from './world.js'

export interface ClusterOptions {
  readonly seed: number
  readonly jobManagers: number
  readonly taskManagers: number
  readonly slotsEach: number
  readonly timing?: Timing
  readonly settings?: Readonly<Record<string, string>>
  readonly broken?: readonly BrokenRule[]
  /** False: what was given up is fenced by its attempts and epoch alone, and stops when it comes back. That has to do, too. */
  readonly marksGivenUp?: boolean
  /** Nothing fails but JobManagers, their disks and ZooKeeper: then no attempt of a task may ever be replaced. */
  readonly sparesTasks?: boolean
}

/** What faults turn: it holds for all messages of the network. */
export interface Weather {
  delayMs: readonly [number, number]
  /** Chance that a message is lost, and its connection with it. */
  dropRate: number
}
export const FAIR: Weather = { delayMs: [0, 4], dropRate: 0 }

const RESTART_MS = 1_000

export class SimulatedCluster {
  readonly clock = new FakeClock()
  readonly random: Random
  readonly zookeeper: SimulatedZooKeeper
  readonly network: LoopbackNetwork
  readonly invariants: Invariants
  readonly disks = new Map<string, SimulatedDisk>()
  /** 'time process text {fields}': the history that a seed is. */
  readonly log: string[] = []
  readonly weather: Weather = { ...FAIR }
  /** Of the user code of all jobs. */
  readonly trouble: Trouble = { armed: false }
  readonly attempts = new Map<string, AttemptRecord>()
  /** What leaders have acknowledged to whoever asked them to drain a TaskManager. */
  readonly drainsAcknowledged: DrainStatus[] = []
  readonly #localCopies = new Map<string, MemoryChunkFiles>()
  #onRestore = () => {}
  readonly #onPowerFailure: ((name: string) => void)[] = []
  readonly #world: World
  readonly #processes = new Map<string, SimulatedProcess>()
  readonly #stopping = new Set<SimulatedProcess>()
  readonly #startAgain = new Set<string>()
  #keepsAllRunning = false
  /** Hosts that nothing starts. */
  readonly #off = new Set<string>()
  readonly #programs = new Map<string, () => unknown>()
  #incarnation = 0
  #diskId = 0

  constructor(readonly options: ClusterOptions) {
    const timing = options.timing ?? TIMING
    const { clock } = this
    this.random = seededRandom(options.seed)
    this.zookeeper = new SimulatedZooKeeper(clock, this.random, {
      sessionTimeoutMs: timing.sessionTimeoutMs,
      latencyMs: [0, 2],
      followers: 2,
    })
    this.network = new LoopbackNetwork(clock, {
      delayMs: () => between(this.random, this.weather.delayMs[0], this.weather.delayMs[1] + 1),
      drops: () => this.weather.dropRate > 0 && this.random.next() < this.weather.dropRate,
    })
    const paths = new ClusterPaths('simulated')
    this.invariants = new Invariants(this.zookeeper.tree, paths, { attemptsStay: options.sparesTasks ?? false })
    this.#world = {
      time: clock,
      random: this.random,
      zookeeper: this.zookeeper,
      network: this.network,
      dataPorts: new LoopbackDataPorts(this.network),
      paths,
      loader: { load: (graph) => new FunctionLoader(this.#programs.get(graph.jobId)!).load(graph) },
      timing,
      marksGivenUp: options.marksGivenUp ?? true,
      settings: options.settings ?? {},
      broken: new Set(options.broken),
      invariants: this.invariants,
      note: (process, text, fields) => this.note(process, text, fields),
      attempts: this.attempts,
      localCopies: this.#localCopies,
      chunkWanted: () => this.#restoring(),
    }
  }

  async start(): Promise<void> {
    for (let i = 1; i <= this.options.jobManagers; i++) this.startProcess(`jm-${i}`)
    for (let i = 1; i <= this.options.taskManagers; i++) this.startProcess(`tm-${i}`)
    await this.clock.runUntil(() => this.leading !== undefined, { withinMs: 60_000 })
  }

  get names(): readonly string[] {
    const named = (prefix: string, count: number) => Array.from({ length: count }, (_, i) => `${prefix}-${i + 1}`)
    return [...named('jm', this.options.jobManagers), ...named('tm', this.options.taskManagers)]
  }
  get processes(): readonly SimulatedProcess[] {
    return [...this.#processes.values()]
  }
  process(name: string): SimulatedProcess | undefined {
    return this.#processes.get(name)
  }
  get #leader(): { readonly process: SimulatedJobManager; readonly leading: Leading } | undefined {
    for (const process of this.#processes.values()) {
      const leading = isJobManager(process) && !process.clock.paused ? process.leading() : undefined
      if (leading) return { process: process as SimulatedJobManager, leading }
    }
    return undefined
  }
  get leading(): Leading | undefined {
    return this.#leader?.leading
  }
  /** Of the JobManagers that answer an operator. */
  get diskAnswers(): readonly DiskAnswer[] {
    return [...this.#processes.values()].flatMap((process) =>
      isJobManager(process) && !process.clock.paused ? (process.disk() ?? []) : [],
    )
  }
  get leader(): string | undefined {
    return this.#leader?.process.name
  }

  /** The graph of a program; slots and enumerators evaluate the program anew, like an artifact. */
  async jobOf(jobId: string, program: () => unknown): Promise<JobGraph> {
    this.#programs.set(jobId, program)
    const defaults = this.options.settings ?? {}
    return graphOfFunction(program, { clockMs: this.clock.now(), random: seededRandom(1), jobId, defaults })
  }
  /** Calls the leader again and again, whoever it is, until it has answered; as a client does. */
  ask(call: (leading: Leading) => Promise<unknown>, onAnswer: () => void): void {
    let answered = false
    const attempt = () => {
      if (answered) return
      this.clock.setTimer(1_000, attempt)
      const leader = this.#leader
      leader?.process.clock.defer(() => {
        call(leader.leading).then(
          () => {
            if (!answered) onAnswer()
            answered = true
          },
          (error: unknown) => this.note('client', 'was refused', { error }),
        )
      })
    }
    attempt()
  }
  /** undefined while nobody leads. */
  async describe(jobId: string): Promise<JobDetails | undefined> {
    let details: JobDetails | undefined
    this.leading?.dispatcher
      .describeJob({ jobId })
      .then((answer) => (details = answer))
      .catch(() => {})
    await this.clock.advance(0)
    return details
  }

  /** Calls back once, when a task next asks for a chunk of its snapshot. */
  whenRestoring(act: () => void): void {
    this.#onRestore = act
  }
  #restoring(): void {
    const act = this.#onRestore
    this.#onRestore = () => {}
    this.clock.defer(act)
  }

  /** The process is gone at once. `supervised`: its supervisor ends its ZooKeeper session. */
  crash(name: string, supervised = true): void {
    const process = this.#processes.get(name)
    if (!process) return
    this.note(name, 'crashes', { supervised })
    this.#processes.delete(name)
    this.#bury(process, supervised)
  }
  /** The host is off: the process is gone, and what it had not synced may be, too. */
  powerFails(name: string): void {
    this.crash(name, false)
    this.note(name, 'has no power')
    this.disks.get(name)?.powerFails()
    for (const lose of this.#onPowerFailure) lose(name)
  }
  /** The host is off until it is switched on, with its disk or without. */
  switchOff(name: string): void {
    this.#off.add(name)
    this.powerFails(name)
  }
  switchOn(name: string): void {
    if (this.#off.delete(name)) this.startProcess(name)
  }
  /** `flott reset-in-sync --yes-lose-data`, run as the process `client`. */
  resetInSync(client: string, { replica, clusterUuid }: DiskAnswer, decide: ResetOptions['decide']): Promise<boolean> {
    if (clusterUuid === undefined) return Promise.reject(new FlottError('NOT_IN_SYNC', `${replica.jobManagerId} knows no cluster yet`))
    const { broken, paths, random } = this.#world
    const zookeeper = carelessOperator(this.zookeeper.client(client), paths, broken)
    return resetInSync({ zookeeper, paths, random, disk: replica, clusterUuid, decide })
  }
  /** Called back when the power of a process's host has failed. */
  whenPowerFails(lose: (name: string) => void): void {
    this.#onPowerFailure.push(lose)
  }
  #bury({ zookeeperName, address, clock }: SimulatedProcess, supervised: boolean): void {
    clock.end()
    if (supervised) this.zookeeper.release(zookeeperName)
    else this.zookeeper.crash(zookeeperName)
    if (this.network.at(address)?.clock === clock) this.network.crash(address)
  }
  /** Of a TaskManager's copies of chunks each may be torn, changed in a byte, or gone. */
  damageLocalCopies(name: string): void {
    this.note(name, 'has damaged copies')
    const files = this.#localCopies.get(name)?.files ?? new Map<string, Uint8Array>()
    for (const [file, bytes] of files) {
      const how = between(this.random, 0, 4)
      const at = between(this.random, 0, Math.max(1, bytes.length))
      if (how === 0) files.delete(file)
      if (how === 1) files.set(file, bytes.subarray(0, at))
      if (how === 2) files.set(file, bytes.with(at, ~bytes[at]!))
    }
  }
  /** `flott drain`, as far as somebody leads and knows the TaskManager. */
  drain(name: string): void {
    this.note(name, 'is to be drained')
    const leader = this.#leader
    leader?.process.clock.defer(() => {
      leader.leading.dispatcher
        .drainTaskManager({ taskManagerId: name })
        .then((acknowledged) => {
          this.note('client', 'may wait for the drain', { name, processId: acknowledged.processId })
          this.drainsAcknowledged.push(acknowledged)
        })
        .catch((error: unknown) => this.note('client', 'was refused', { error }))
    })
  }
  /** Resolves when whoever leads knows of each acknowledged drain how it ended. */
  drainsEnded(): Promise<readonly DrainStatus[]> {
    return Promise.all(
      this.drainsAcknowledged.map(
        ({ taskManagerId, processId }) =>
          new Promise<DrainStatus>((resolve) =>
            this.ask(
              async ({ dispatcher }) => {
                const status = await dispatcher.drainStatus({ taskManagerId, processId })
                if (status.state === 'DRAINING' || status.state === 'REGISTERED') throw new Error(`${taskManagerId} is ${status.state}`)
                resolve(status)
              },
              () => {},
            ),
          ),
      ),
    )
  }
  /** SIGTERM. What does not end by itself is killed later. */
  stop(name: string, patient = false): void {
    const process = this.#processes.get(name)
    if (!process || process.clock.paused) return
    this.note(name, 'is stopped')
    this.#stopping.add(process)
    let gone = false
    const bury = () => {
      if (gone || this.#processes.get(name) !== process) return
      gone = true
      this.#processes.delete(name)
      this.note(name, 'has ended')
      this.#bury(process, true)
      if (this.#startAgain.delete(name) || this.#keepsAllRunning) this.startProcess(name)
    }
    process.clock.defer(() => void process.stop(patient).then(bury, bury))
    this.clock.setTimer(30_000, bury)
  }
  pause(name: string, { hostSleeps = false } = {}): void {
    const process = this.#processes.get(name)
    if (!process || process.clock.paused) return
    this.note(name, hostSleeps ? 'sleeps with its host' : 'is paused')
    process.clock.pause({ hostSleeps })
    this.zookeeper.pause(process.zookeeperName)
  }
  continue(name: string): void {
    const process = this.#processes.get(name)
    if (!process?.clock.paused) return
    this.note(name, 'continues')
    process.clock.continue()
    this.zookeeper.continue(process.zookeeperName)
  }
  /** The process is dead, and its disk is lost with it. */
  wipe(name: string): void {
    this.crash(name)
    this.note(name, 'loses its disk')
    const disk = this.disks.get(name)!
    this.invariants.wiped(disk)
    disk.wipe()
  }

  /** From now on: one that was asked to go while nobody could reach it goes later, and is missing then. */
  keepAllRunning(): void {
    this.#keepsAllRunning = true
    for (const name of this.names) this.startProcess(name)
  }
  /** One that is being stopped starts again when it has ended. */
  startProcess(name: string): void {
    if (this.#off.has(name)) return
    const before = this.#processes.get(name)
    if (before && this.#stopping.has(before)) this.#startAgain.add(name)
    if (before) return
    this.#startAgain.delete(name)
    const incarnation = ++this.#incarnation
    this.note(name, 'starts', { incarnation })
    const onFailed = (error: unknown) => {
      this.note(name, 'ends with an error', { error })
      if (this.#processes.get(name) !== process) return
      this.crash(name)
      this.clock.setTimer(RESTART_MS, () => this.startProcess(name)) // Its supervisor.
    }
    const process = name.startsWith('jm')
      ? startSimulatedJobManager(this.#world, {
          name,
          incarnation,
          disk: this.#diskOf(name),
          newDiskId: () => (this.#world.broken.has('name-hosts') ? name : `disk-${++this.#diskId}`),
          onDisk: (diskId) => this.invariants.diskIs(diskId, this.#diskOf(name)),
          onFailed,
        })
      : startSimulatedTaskManager(this.#world, {
          name,
          incarnation,
          slots: this.options.slotsEach,
          onFailed,
          onDrainRequested: () => this.stop(name, true),
        })
    this.#processes.set(name, process)
  }
  #diskOf(name: string): SimulatedDisk {
    let disk = this.disks.get(name)
    if (!disk) {
      disk = new SimulatedDisk(this.random, this.#world.broken.has('acknowledge-before-sync'))
      this.disks.set(name, disk)
    }
    return disk
  }

  /** One of them, by chance. */
  pick<T>(from: readonly T[]): T | undefined {
    return from.length === 0 ? undefined : pick(this.random, from)
  }
  note(name: string, text: string, fields: object = {}): void {
    const plain = JSON.stringify(fields, (_, value: unknown) =>
      value instanceof Error ? `${value.message}${value.cause ? ` <- ${String(value.cause)}` : ''}` : value,
    )
    this.log.push(`${this.clock.monotonicMs()} ${name} ${text} ${plain}`)
  }
}

function isJobManager(process: SimulatedProcess): process is SimulatedJobManager {
  return process.kind === 'jobmanager'
}
