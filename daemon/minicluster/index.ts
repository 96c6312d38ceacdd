/**
 * A whole cluster in this process, for programs run by plain `node` and for tests: one JobManager and one TaskManager, started as their
 * daemons start them, so that a program meets the same engine here as on a cluster. Slots are threads, the rest shares the program's
 * thread. The cluster listens on free ports of the loopback interface and leaves nothing behind: not when it is stopped, not when the
 * process exits under it, not at Ctrl-C.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { configOf } from '#core/config/resolve-config.js'
import type { DaemonContext, RunningDaemon } from '#core/daemon-process.js'
import { createLogger } from '#core/logger.js'
import { startJobManager } from '#jobmanager/start-job-manager.js'
import { startTaskManager } from '#taskmanager/start-task-manager.js'
import { guardAgainstExit } from './exit-guard.js'

export interface MiniClusterOptions {
  /** Slots in all. */
  readonly slots: number
  /** Configuration keys as text, over the defaults of a cluster in a program. */
  readonly settings: Readonly<Record<string, string>>
}
export interface MiniCluster {
  /** Where its REST API listens. */
  readonly restUrl: string
  /** Ends jobs, threads and sockets, and removes its files. Idempotent. */
  stop(): Promise<void>
}

const HOST = '127.0.0.1'
const MEGABYTES_A_SLOT = 256
const MEGABYTES_MIN = 1024

/** Resolves once the slots are registered. INVALID_CONFIG, STARTUP_FAILED. */
export async function startMiniCluster({ slots, settings }: MiniClusterOptions): Promise<MiniCluster> {
  const directory = await mkdtemp(join(tmpdir(), 'flott-minicluster-'))
  const daemons: RunningDaemon[] = []
  let stopping: Promise<void> | undefined
  const stop = () => {
    stopping ??= stopAll(daemons, directory).finally(release)
    return stopping
  }
  const release = guardAgainstExit({ directory, stop })
  try {
    const common = { ...defaults(slots, directory), ...settings }
    const log = logUntil(() => stopping !== undefined)
    const jobManager = await startJobManager(context('jobmanager', common, { log, stop }))
    daemons.push(jobManager)
    const port = jobManager.rpcAddress.slice(jobManager.rpcAddress.lastIndexOf(':') + 1)
    await new Promise<void>((registered, failed) => {
      const taskManager = context('taskmanager', { ...common, 'jobmanager.rpc.port': port }, { log, stop, onReady: registered })
      startTaskManager(taskManager).then((running) => daemons.push(running), failed)
    })
    return { restUrl: jobManager.restUrl, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

function defaults(slots: number, directory: string): Readonly<Record<string, string>> {
  return {
    'high-availability.type': 'none',
    'env.log.level': 'warn',
    'jobmanager.rpc.address': HOST,
    'jobmanager.bind-host': HOST,
    'jobmanager.rpc.port': '0',
    'jobmanager.data.dir': join(directory, 'data'),
    'rest.bind-address': HOST,
    'rest.bind-port': '0',
    'taskmanager.bind-host': HOST,
    'taskmanager.numberOfTaskSlots': String(slots),
    'taskmanager.memory.managed.size': `${Math.max(MEGABYTES_MIN, slots * MEGABYTES_A_SLOT)} mb`,
    'io.tmp.dirs': directory,
  }
}

/** Standard error. What the daemons say of each other's end, when both are stopped, is nothing that a program's user wants to read. */
function logUntil(stopping: () => boolean): Log {
  return {
    write(line) {
      if (!stopping()) process.stderr.write(line)
    },
  }
}

interface Log {
  write(line: string): void
}
interface Surroundings {
  readonly log: Log
  readonly onReady?: () => void
  stop(): Promise<void>
}

function context(name: string, settings: Readonly<Record<string, string>>, { log, onReady = () => {}, stop }: Surroundings): DaemonContext {
  const loaded = configOf(settings, 'mini-cluster')
  const logger = createLogger({ level: loaded.config['env.log.level'], fields: { daemon: name }, destination: log })
  const end = () => void stop().catch((cause: unknown) => logger.error('the mini-cluster did not stop cleanly', { cause }))
  return {
    ...loaded,
    name,
    logger,
    configDir: '',
    ready: onReady,
    drain: end,
    finish: end,
    fatal(error) {
      logger.error('the mini-cluster ends', { error })
      end()
    },
  }
}

/** In reverse: the tasks first, so that nobody misses the JobManager. */
async function stopAll(daemons: readonly RunningDaemon[], directory: string): Promise<void> {
  const errors: unknown[] = []
  for (const daemon of [...daemons].reverse()) await daemon.stop('the mini-cluster stops').catch((error: unknown) => errors.push(error))
  await rm(directory, { recursive: true, force: true }).catch((error: unknown) => errors.push(error))
  if (errors.length > 0) throw new AggregateError(errors, 'the mini-cluster did not stop cleanly')
}
