/** The scripts of bin with a configuration directory of their own, free ports, and a directory for all that they write. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runCommand } from './command.js'
import { freePort } from './free-port.js'
import type { CommandResult } from './process-cluster.js'

export interface InstallationOptions {
  /** host:port; undefined: high-availability.type none. */
  readonly zookeeper?: string
  /** How many on this host, or where. */
  readonly workers?: number | readonly string[]
  readonly settings?: Readonly<Record<string, string>>
}

export class Installation {
  private constructor(
    readonly directory: string,
    /** Of the masters. */
    readonly restPorts: readonly number[],
  ) {}

  static async create({ zookeeper, workers = 2, settings: own = {} }: InstallationOptions = {}): Promise<Installation> {
    const directory = mkdtempSync(join(tmpdir(), 'flott-scripts-'))
    const conf = join(directory, 'conf')
    mkdirSync(conf)
    const hosts = typeof workers === 'number' ? Array<string>(workers).fill('localhost') : workers
    const restPorts = [await freePort(), await freePort()]
    const settings = {
      'rest.port': restPorts[0],
      'jobmanager.rpc.port': await freePort(),
      'jobmanager.data.dir': join(directory, 'data'),
      'io.tmp.dirs': join(directory, 'tmp'),
      'env.pid.dir': join(directory, 'run'),
      'env.log.dir': join(directory, 'log'),
      'taskmanager.memory.managed.size': '128 mb',
      ...(zookeeper === undefined ? {} : { 'high-availability.type': 'zookeeper', 'high-availability.zookeeper.quorum': zookeeper }),
      ...own,
    }
    writeFileSync(
      join(conf, 'config.yaml'),
      Object.entries(settings)
        .map(([key, value]) => `${key}: ${JSON.stringify(value)}\n`)
        .join(''),
    )
    writeFileSync(join(conf, 'masters'), restPorts.map((port) => `localhost:${port}\n`).join(''))
    writeFileSync(join(conf, 'workers'), '# One TaskManager a line.\n\n'.concat(hosts.map((host) => `${host}\n`).join('')))
    mkdirSync(join(directory, 'tmp'))
    return new Installation(directory, restPorts)
  }
  /** Variables for all that it runs from now on. */
  readonly env: Record<string, string> = {}
  readonly run = (script: string, ...args: string[]): Promise<CommandResult> =>
    runCommand(`bin/${script}`, args, { env: { FLOTT_CONF_DIR: join(this.directory, 'conf'), FLOTT_STOP_TIMEOUT_S: '10', ...this.env } })
  /** Those that run, from the pid files. */
  readonly pids = (kind?: 'jobmanager' | 'standalonejob' | 'taskmanager'): number[] => {
    const run = join(this.directory, 'run')
    return (existsSync(run) ? readdirSync(run) : [])
      .filter((name) => name.endsWith('.pid') && (kind === undefined || name.includes(kind)))
      .flatMap((name) => readFileSync(join(run, name), 'utf8').trim().split('\n'))
      .map((line) => Number(line.split(' ')[0]))
      .filter(isAlive)
  }
  /** Ends what still runs. */
  remove(): void {
    for (const pid of this.pids()) process.kill(pid, 'SIGKILL')
    rmSync(this.directory, { recursive: true, force: true })
  }
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
