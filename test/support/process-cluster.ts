/**
 * A cluster of real daemons on this machine, each a process of its own with its own directories and free ports: for integration tests,
 * chaos and benchmarks. What was started is stopped by `stop`, whatever became of it.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { ClusterOverviewResponse, JobDetailsResponse, JobsOverviewResponse } from '#protocol/rest/responses.js'
import { freePort } from './free-port.js'

const READY_WITHIN_MS = 60_000
const POLL_MS = 20

export type DaemonKind = 'jobmanager' | 'taskmanager'

/** Where a daemon runs. */
export interface Placement {
  /** Words before its command, which they replace themselves by: `ip netns exec host`. */
  readonly launcher?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** Over all others. */
  readonly settings?: Readonly<Record<string, string>>
}

export class Daemon {
  /** The daemon, or the supervisor that is its parent. */
  #process: ChildProcess | undefined
  /** Of the daemon itself; undefined until its supervisor has said it. */
  #pid: number | undefined
  #readyText = ''
  #starts = 0
  constructor(
    readonly kind: DaemonKind,
    readonly name: string,
    private readonly directory: string,
    private readonly confDir: string,
    private readonly settings: Readonly<Record<string, string>>,
    /** Started by bin/flott-supervise.sh, as bin/jobmanager.sh and bin/taskmanager.sh do. */
    private readonly supervised: boolean,
    /** Of Node, before the program: for profiles. Workers inherit them. */
    private readonly nodeFlags: readonly string[] = [],
    private readonly placement: Placement = {},
  ) {}

  get pid(): number {
    if (this.#pid === undefined) throw new Error(`${this.name} does not run`)
    return this.#pid
  }
  get isRunning(): boolean {
    return isRunning(this.#process) && (this.#pid === undefined || exists(this.#pid))
  }
  /** What its lock, its session credentials and others of its files in env.pid.dir begin with. */
  get runtimePrefix(): string {
    return join(this.directory, '..', 'run', this.name)
  }
  /** REST address of a JobManager. */
  get restUrl(): string {
    const url = this.restUrlIfReady
    if (!url) throw new Error(`${this.name} said '${this.#readyText}', which has no REST address`)
    return url
  }
  /** Undefined when it has none, or not yet said it. */
  get restUrlIfReady(): string | undefined {
    if (this.#readyText === '' && existsSync(this.#readyFile)) this.#readyText = readFileSync(this.#readyFile, 'utf8').trim()
    return /https?:\/\/\S+/.exec(this.#readyText)?.[0]
  }
  get #readyFile(): string {
    return join(this.directory, `${this.name}.ready`)
  }
  get log(): string {
    return readFileSync(join(this.directory, `${this.name}.log`), 'utf8')
  }

  /** Starts it without waiting. */
  spawn(): void {
    mkdirSync(this.directory, { recursive: true })
    rmSync(this.#readyFile, { force: true })
    this.#readyText = ''
    this.#starts++
    const settings = Object.entries(this.settings).flatMap(([key, value]) => ['-D', `${key}=${value}`])
    const main = resolve(`dist/daemon/${this.kind}/main.js`)
    const env = { ...process.env, ...this.placement.env, FLOTT_READY_FILE: this.#readyFile }
    const command = this.supervised
      ? [resolve('bin/flott-supervise.sh'), main, this.runtimePrefix, ...settings]
      : [process.execPath, ...this.nodeFlags, main, '--configDir', this.confDir, ...settings]
    const [program, ...args] = [...(this.placement.launcher ?? []), ...command]
    const child = this.supervised
      ? spawn(program!, args, {
          stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
          env: {
            ...env,
            FLOTT_HOME: process.cwd(),
            FLOTT_NODE: process.execPath,
            FLOTT_CONF_DIR: this.confDir,
            FLOTT_NODE_OPTIONS: this.nodeFlags.join(' '),
          },
        })
      : spawn(program!, args, { stdio: ['ignore', 'pipe', 'pipe'], env })
    this.#pid = this.supervised ? undefined : child.pid
    child.stdio[3]?.once('data', (text: Buffer) => {
      this.#pid = Number(text.toString())
    })
    const log = createWriteStream(join(this.directory, `${this.name}.log`), { flags: 'a' })
    log.write(`\n--- start ${this.#starts} of ${this.name}, pid ${child.pid}\n`)
    child.stdout!.pipe(log, { end: false })
    child.stderr!.pipe(log, { end: false })
    child.once('exit', (code, signal) => log.end(`--- ${this.name} ended: ${code ?? signal}\n`))
    this.#process = child
  }

  /** Waits until it leads, stands by or is registered. */
  async ready(): Promise<void> {
    const until = Date.now() + READY_WITHIN_MS
    for (;;) {
      try {
        this.#readyText = readFileSync(this.#readyFile, 'utf8').trim()
        return
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
      }
      if (!this.isRunning) throw new Error(`${this.name} ended while it started:\n${this.log.slice(-4_000)}`)
      if (Date.now() > until) throw new Error(`${this.name} is not ready after ${READY_WITHIN_MS} ms:\n${this.log.slice(-4_000)}`)
      await pause(POLL_MS)
    }
  }
  async start(): Promise<void> {
    this.spawn()
    await this.ready()
  }
  /** Does not wait for what becomes of it. */
  signal(signal: 'SIGSTOP' | 'SIGCONT' | 'SIGTERM' | 'SIGKILL'): void {
    if (this.isRunning) process.kill(this.pid, signal)
  }
  /** Ends it and waits for the end, and for what its supervisor does then; the exit code, undefined when a signal ended it. */
  async kill(signal: 'SIGTERM' | 'SIGKILL' = 'SIGKILL'): Promise<number | undefined> {
    const child = this.#process
    if (!child) return undefined
    if (isRunning(child)) {
      const exited = once(child, 'exit')
      while (this.#pid === undefined && isRunning(child)) await pause(POLL_MS)
      this.signal(signal)
      if (signal === 'SIGTERM') this.signal('SIGCONT')
      await exited
    }
    return this.supervised && (child.exitCode ?? 0) > 128 ? undefined : (child.exitCode ?? undefined)
  }
  /** Ends it when nobody needs it any more: its supervisor finds no session to close. */
  async abandon(): Promise<void> {
    rmSync(`${this.runtimePrefix}.session`, { force: true })
    await this.kill('SIGKILL')
  }
  /** User and system CPU seconds so far. */
  cpuSeconds(): number {
    const fields = readFileSync(`/proc/${this.pid}/stat`, 'utf8').split(') ')[1]!.split(' ')
    return (Number(fields[11]) + Number(fields[12])) / 100
  }
  rssBytes(): number {
    return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${this.pid}/status`, 'utf8'))?.[1] ?? 0) * 1024
  }
}

export interface ProcessClusterOptions {
  readonly jobManagers: number
  readonly taskManagers: number
  readonly slots: number
  /** host:port of ZooKeeper; undefined: high-availability.type none. */
  readonly zookeeper?: string
  /** Daemons run under their supervisor, which closes the session of one that dies; else they are bare processes. */
  readonly supervised?: boolean
  /** Over the defaults, for all daemons and the CLI. */
  readonly settings?: Readonly<Record<string, string>>
  /** Of one JobManager, over `settings`; for instance a data directory on another disk. */
  readonly jobManagerSettings?: (index: number) => Readonly<Record<string, string>>
  /** Of Node, for the TaskManagers: to profile them. */
  readonly taskManagerFlags?: readonly string[]
  /** On hosts of their own, for instance. */
  readonly placement?: (kind: DaemonKind, index: number) => Placement
}
export interface CommandResult {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

let clusters = 0

export class ProcessCluster {
  readonly jobManagers: readonly Daemon[]
  readonly taskManagers: readonly Daemon[]
  readonly #commands = new Set<ChildProcess>()

  private constructor(
    /** Of this cluster alone; removed at the end. */
    readonly directory: string,
    readonly confDir: string,
    private readonly options: ProcessClusterOptions,
  ) {
    const daemon = (kind: DaemonKind, index: number, settings: Record<string, string>) => {
      const name = `${kind}-${index}`
      const supervised = options.supervised === true
      const flags = kind === 'taskmanager' ? options.taskManagerFlags : undefined
      const placement = options.placement?.(kind, index)
      const all = { ...settings, ...placement?.settings }
      return new Daemon(kind, name, join(directory, name), confDir, all, supervised, flags, placement)
    }
    this.jobManagers = Array.from({ length: options.jobManagers }, (_, i) =>
      daemon('jobmanager', i, {
        'jobmanager.resource-id': `jm-${i}`,
        'jobmanager.data.dir': join(directory, `jobmanager-${i}`, 'data'),
        ...options.jobManagerSettings?.(i),
      }),
    )
    this.taskManagers = Array.from({ length: options.taskManagers }, (_, i) =>
      daemon('taskmanager', i, { 'taskmanager.resource-id': `tm-${i}`, 'io.tmp.dirs': join(directory, `taskmanager-${i}`, 'tmp') }),
    )
  }

  static async start(options: ProcessClusterOptions): Promise<ProcessCluster> {
    const directory = await mkdtemp(join(tmpdir(), 'flott-cluster-'))
    const confDir = join(directory, 'conf')
    mkdirSync(confDir)
    const settings: Record<string, string> = {
      'rest.bind-port': '0',
      'taskmanager.numberOfTaskSlots': String(options.slots),
      'env.pid.dir': join(directory, 'run'),
      'heartbeat.interval': '500 ms',
      'heartbeat.timeout': '30 s', // The machine may be slow: only a connection that closes says that a process is gone.
      ...(options.zookeeper === undefined
        ? { 'jobmanager.rpc.port': String(await freePort()) }
        : {
            'high-availability.type': 'zookeeper',
            'high-availability.zookeeper.quorum': options.zookeeper,
            'high-availability.zookeeper.client.session-timeout': '4 s',
            'high-availability.cluster-id': `test-${process.pid}-${clusters++}`,
          }),
      ...options.settings,
    }
    mkdirSync(settings['env.pid.dir']!)
    writeFileSync(
      join(confDir, 'config.yaml'),
      Object.entries(settings)
        .map(([key, value]) => `${key}: ${JSON.stringify(value)}\n`)
        .join(''),
    )
    const cluster = new ProcessCluster(directory, confDir, options)
    const daemons = [...cluster.jobManagers, ...cluster.taskManagers]
    try {
      for (const daemon of daemons) daemon.spawn()
      await Promise.all(daemons.map((daemon) => daemon.ready()))
    } catch (error) {
      await cluster.stop()
      throw error
    }
    return cluster
  }

  /** The command line, to its end. */
  flott(args: readonly string[], options: { env?: Record<string, string>; cwd?: string } = {}): Promise<CommandResult> {
    return this.startFlott(args, options).result
  }
  /** The command line, while it runs. */
  startFlott(
    args: readonly string[],
    options: { env?: Record<string, string>; cwd?: string } = {},
  ): { process: ChildProcess; result: Promise<CommandResult> } {
    // A look-up through ZooKeeper where there is one, else the JobManager's address.
    const target = this.options.zookeeper === undefined ? ['-m', new URL(this.jobManagers[0]!.restUrl).host] : []
    const [command, ...rest] = args
    const child = spawn(resolve('bin/flott'), [command!, ...target, ...rest], {
      stdio: ['ignore', 'pipe', 'pipe'],
      cwd: options.cwd ?? process.cwd(),
      env: { ...process.env, FLOTT_CONF_DIR: this.confDir, ...options.env },
    })
    this.#commands.add(child)
    let stdout = ''
    let stderr = ''
    child.stdout!.on('data', (data) => (stdout += String(data)))
    child.stderr!.on('data', (data) => (stderr += String(data)))
    const result = once(child, 'close').then(([code]) => {
      this.#commands.delete(child)
      return { code: code as number, stdout, stderr }
    })
    return { process: child, result }
  }

  /** GET, from any JobManager that answers. */
  async rest<T>(path: string, options: { withinMs?: number } = {}): Promise<T> {
    const until = Date.now() + (options.withinMs ?? 30_000)
    let last: unknown
    while (Date.now() < until) {
      for (const jobManager of this.jobManagers) {
        if (!jobManager.isRunning) continue
        try {
          const answer = await fetch(jobManager.restUrl + path, { signal: AbortSignal.timeout(2_000) })
          if (answer.ok) return (await answer.json()) as T
          last = await answer.text()
          if (answer.status !== 503 && answer.status !== 504) throw new Error(`${path}: ${String(last)}`)
        } catch (error) {
          if ((error as Error).message.startsWith(`${path}: `)) throw error
          last = error
        }
      }
      await pause(POLL_MS)
    }
    throw new Error(`${path}: no answer: ${String(last)}`)
  }
  overview(): Promise<ClusterOverviewResponse> {
    return this.rest('/overview')
  }
  async jobs(): Promise<JobsOverviewResponse['jobs']> {
    return (await this.rest<JobsOverviewResponse>('/jobs/overview')).jobs
  }
  job(jobId: string): Promise<JobDetailsResponse> {
    return this.rest(`/jobs/${jobId}`)
  }
  /** The JobManager that leads. */
  async leader(): Promise<Daemon> {
    const { leader } = await this.overview()
    const found = this.jobManagers.find((jobManager) => jobManager.isRunning && jobManager.restUrl === leader.address)
    if (!found) throw new Error(`the leader ${leader.address} is none of ours`)
    return found
  }
  /** Polls until `condition` gives a value other than undefined and false. */
  async until<T>(what: string, condition: () => Promise<T | undefined | false>, withinMs = 60_000): Promise<T> {
    const until = Date.now() + withinMs
    for (;;) {
      const value = await condition()
      if (value !== undefined && value !== false) return value
      if (Date.now() > until) throw new Error(`not within ${withinMs} ms: ${what}\n${this.logs()}`)
      await pause(POLL_MS * 2)
    }
  }
  /** The end of every log, for messages of failed tests. */
  logs(): string {
    return [...this.jobManagers, ...this.taskManagers].map((daemon) => `=== ${daemon.name}\n${daemon.log.slice(-3_000)}`).join('\n')
  }
  async stop(): Promise<void> {
    for (const command of this.#commands) command.kill('SIGKILL')
    await Promise.all([...this.taskManagers, ...this.jobManagers].map((daemon) => daemon.abandon()))
    await rm(this.directory, { recursive: true, force: true })
  }
}

function isRunning(child: ChildProcess | undefined): child is ChildProcess {
  return child !== undefined && child.exitCode === null && child.signalCode === null
}
function exists(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
function pause(ms: number): Promise<void> {
  return new Promise((done) => setTimeout(done, ms))
}
