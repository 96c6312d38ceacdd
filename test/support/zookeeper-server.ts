import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from './free-port.js'

const CLASS_PATH = process.env['FLOTT_TEST_ZOOKEEPER_CLASSPATH'] ?? '/etc/zookeeper/conf:/usr/share/java/zookeeper.jar'
const POLL_MS = 25
const READY_WITHIN_MS = 30_000

/** One of several that elect a leader among them. */
export interface EnsembleMember {
  /** From 1 on. */
  readonly id: number
  readonly address: string
  readonly port: number
  /** Of all of them, as zoo.cfg wants it: `server.1` to host:port:port. */
  readonly servers: Readonly<Record<string, string>>
  /** Words before its command, which they replace themselves by: `ip netns exec host`. */
  readonly launcher: readonly string[]
}

/** A real ZooKeeper for tests: own data, a free port, stopped and started again with the same of both. */
export class ZooKeeperServer {
  #process: ChildProcess | undefined
  private constructor(
    private readonly directory: string,
    readonly port: number,
    private readonly member?: EnsembleMember,
  ) {}

  /** Not started. It serves when a majority of the ensemble runs. */
  static async member(member: EnsembleMember): Promise<ZooKeeperServer> {
    const directory = await mkdtemp(join(tmpdir(), 'flott-zookeeper-'))
    await mkdir(join(directory, 'data'))
    await writeFile(join(directory, 'data', 'myid'), `${member.id}\n`)
    return new ZooKeeperServer(directory, member.port, member)
  }

  static async start(): Promise<ZooKeeperServer> {
    for (let attempt = 1; ; attempt++) {
      const directory = await mkdtemp(join(tmpdir(), 'flott-zookeeper-'))
      const server = new ZooKeeperServer(directory, await freePort())
      try {
        await server.run()
        return server
      } catch (error) {
        await server.remove()
        if (attempt === 3) throw error // Someone else took the port each time, or there is no ZooKeeper.
      }
    }
  }

  get #host(): string {
    return this.member?.address ?? '127.0.0.1'
  }
  get connect(): string {
    return `${this.#host}:${this.port}`
  }
  get isRunning(): boolean {
    return this.#process !== undefined && this.#process.exitCode === null && this.#process.signalCode === null
  }

  /** Starts it (again) and waits until it serves. */
  async run(): Promise<void> {
    const file = join(this.directory, 'zoo.cfg')
    const settings = {
      tickTime: 500,
      minSessionTimeout: 1_000,
      maxSessionTimeout: 600_000,
      dataDir: join(this.directory, 'data'),
      clientPort: this.port,
      clientPortAddress: this.#host,
      'admin.enableServer': false,
      '4lw.commands.whitelist': 'srvr',
      maxClientCnxns: 0,
      ...(this.member === undefined ? {} : { initLimit: 20, syncLimit: 10, ...this.member.servers }),
    }
    await writeFile(
      file,
      Object.entries(settings)
        .map(([key, value]) => `${key}=${value}\n`)
        .join(''),
    )
    const jvm = ['-Xmx128m', '-Xshare:auto', '-XX:TieredStopAtLevel=1', '-Dzookeeper.log.threshold=OFF', '-Dzookeeper.root.logger=OFF']
    const java = ['java', ...jvm, '-cp', CLASS_PATH, 'org.apache.zookeeper.server.quorum.QuorumPeerMain', file]
    const [program, ...args] = [...(this.member?.launcher ?? []), ...java]
    const child = spawn(program!, args, { stdio: 'ignore' })
    this.#process = child
    const orphan = () => child.kill('SIGKILL')
    process.once('exit', orphan) // A test that fails badly leaves no server behind.
    child.once('exit', () => process.off('exit', orphan))
    let failure: string | undefined
    child.once('error', (error) => (failure = error.message))
    child.once('exit', (code) => (failure = `it exited with ${code}`))
    const until = Date.now() + READY_WITHIN_MS
    while (!(await this.#ask('srvr'))?.includes('Mode: ')) {
      // It answers before it serves.
      if (failure !== undefined || Date.now() > until)
        throw new Error(`ZooKeeper at ${this.connect} does not serve: ${failure ?? 'no answer'}`)
      await new Promise((resolve) => setTimeout(resolve, POLL_MS))
    }
  }

  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.#process?.kill(signal)
  }

  /** Clean stop, or kill -9. Data and port stay ours. */
  async stop(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
    const child = this.#process
    this.#process = undefined
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    child.kill(signal)
    await exited
  }

  async remove(): Promise<void> {
    await this.stop('SIGKILL')
    await rm(this.directory, { recursive: true, force: true })
  }

  #ask(word: string): Promise<string | undefined> {
    return new Promise((resolve) => {
      const socket = connect(this.port, this.#host)
      let answer = ''
      socket.setTimeout(1_000, () => socket.destroy())
      socket.on('connect', () => socket.write(word))
      socket.on('data', (data) => {
        answer += data.toString()
      })
      socket.on('error', () => resolve(undefined))
      socket.on('close', () => resolve(answer))
    })
  }
}
