/**
 * What both daemons' main.ts have in common: arguments and configuration (exit code 78 when they are wrong), the logger, readiness for
 * the scripts and for systemd, and a clean end: on SIGTERM after draining, where the daemon can, and at once on SIGINT or another SIGTERM.
 */
import { spawn } from 'node:child_process'
import { renameSync, writeFileSync } from 'node:fs'
import { setFlagsFromString } from 'node:v8'
import { every, systemClock } from './clock.js'
import { loadConfig } from './config/load-config.js'
import type { LoadedConfig } from './config/resolve-config.js'
import { isFlottError } from './errors.js'
import { holdsLock } from './lock-file.js'
import { createLogger, type Logger } from './logger.js'

export interface DaemonContext extends LoadedConfig {
  readonly name: string
  readonly configDir: string
  readonly logger: Logger
  /** The file whose lock the launcher took for this process, while it really holds it: who gets the lock later knows that it is dead. */
  readonly lockFile?: string
  /** Tells the script or systemd that started the process that it does its work; `text` says where. Repeated calls are harmless. */
  ready(text: string): void
  /** Ends the process because of something that it can't live with. */
  fatal(error: unknown): void
  /** Drains patiently, then ends the process: an operator asked for it. */
  drain(): void
  /** Ends the process with this exit code, once it has started: its work is done. */
  finish(code: number, reason: string): void
}
export interface RunningDaemon {
  /** Resolves when nothing is left that others could take over, or when there is nothing to wait for. Called again: with less patience. */
  drain?(patient: boolean): Promise<void>
  /** Clean end: what others wait for is handed over before it resolves. */
  stop(reason: string): Promise<void>
}

const EXIT_CONFIGURATION = 78
/** A stop that takes longer is cut short. */
const STOP_MAX_MS = 12_000

export async function runDaemon(
  name: string,
  start: (context: DaemonContext) => Promise<RunningDaemon>,
  argv: readonly string[] = process.argv.slice(2),
): Promise<void> {
  keepSmallYoungGenerationToThisThread()
  const loaded = configurationOrExit(name, argv)
  const level = loaded.config['env.log.level']
  const logger = createLogger({ level, fields: { daemon: name, pid: process.pid } })
  let running: RunningDaemon | undefined
  let onRunning: (() => void) | undefined
  let ending = false
  const end = (code: number, reason: string) => {
    if (ending) return
    ending = true
    systemClock.setTimer(STOP_MAX_MS, () => process.exit(code || 1), { unref: true })
    Promise.resolve(running?.stop(reason)).then(
      () => process.exit(code),
      (error: unknown) => {
        logger.error('the daemon did not stop cleanly', { error })
        process.exit(code || 1)
      },
    )
  }
  const fatal = (error: unknown) => {
    logger.error('the daemon ends', { error })
    end(1, error instanceof Error ? error.message : String(error))
  }
  process.on('uncaughtException', fatal)
  process.on('unhandledRejection', fatal)
  const drain = (reason: string, patient: boolean) => {
    const drained = Promise.resolve(running?.drain?.(patient))
    drained.catch((error: unknown) => logger.error('the daemon could not be drained', { error })).then(() => end(0, reason))
  }
  let terminations = 0
  process.on('SIGTERM', () => {
    logger.info('stopping', { signal: 'SIGTERM' })
    if (++terminations === 1) drain('SIGTERM', false)
    else end(0, 'SIGTERM')
  })
  process.on('SIGINT', () => {
    logger.info('stopping', { signal: 'SIGINT' })
    end(0, 'SIGINT')
  })
  try {
    running = await start({
      ...loaded,
      ...inheritedLock(logger),
      name,
      logger,
      ready: readiness(),
      fatal,
      drain: () => drain('drained', true),
      finish(code, reason) {
        if (running) end(code, reason)
        else onRunning ??= () => end(code, reason)
      },
    })
    onRunning?.()
  } catch (error) {
    logger.error('the daemon could not start', { error })
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
    process.exit(isFlottError(error, 'INVALID_CONFIG') ? EXIT_CONFIGURATION : 1)
  }
}

function configurationOrExit(name: string, argv: readonly string[]): LoadedConfig & { configDir: string } {
  try {
    const { configDir, dynamic } = daemonArguments(argv)
    refuseHeapFlag([...process.execArgv, ...(process.env['NODE_OPTIONS'] ?? '').split(/\s+/)])
    return { ...loadConfig({ confDir: configDir, fileRequired: true, env: process.env, dynamic }), configDir }
  } catch (error) {
    process.stderr.write(`${name}: ${(error as Error).message}\n`)
    process.exit(EXIT_CONFIGURATION)
  }
}

/** `--configDir DIR` (or -c) and `-D key=value`, `-Dkey=value`. */
export function daemonArguments(argv: readonly string[]): { configDir: string; dynamic: readonly string[] } {
  const dynamic: string[] = []
  let configDir: string | undefined
  for (let i = 0; i < argv.length; i++) {
    const argument = argv[i]!
    const value = () => {
      const next = argv[++i]
      if (next === undefined) throw new Error(`${argument} expects a value`)
      return next
    }
    if (argument === '--configDir' || argument === '-c') configDir = value()
    else if (argument === '-D') dynamic.push(value())
    else if (argument.startsWith('-D')) dynamic.push(argument.slice(2))
    else throw new Error(`unknown argument '${argument}': expects --configDir DIR and -D key=value`)
  }
  if (configDir === undefined) throw new Error('--configDir DIR is missing')
  return { configDir, dynamic }
}

/** The flag switches off the limits of slot workers (Node.js), so one job's heap could take the process. */
function refuseHeapFlag(flags: readonly string[]): void {
  const found = flags.find((flag) => /^--max[-_]old[-_]space[-_]size/.test(flag))
  if (found)
    throw new Error(`${found} (also in NODE_OPTIONS) switches off the memory limits of slots: set taskmanager.memory.managed.size instead`)
}

/**
 * The scripts start daemons with --max-semi-space-size=4: V8 lets buffers of twice that size gather before it looks for dead ones among
 * the young objects. By default these are 32 MB, more than a small heap may grow by, so that each dozen megabytes of blobs that pass
 * through make it mark the whole heap: more than a third of the processor time of a JobManager from which state is restored. That is for threads that
 * move bytes; a worker, which runs user code, has the limit that it is given only where the flag is not set.
 */
function keepSmallYoungGenerationToThisThread(): void {
  setFlagsFromString('--max-semi-space-size=0')
}

/** FLOTT_LOCK_FILE (the scripts). */
function inheritedLock(logger: Logger): { lockFile?: string } {
  const lockFile = process.env['FLOTT_LOCK_FILE']
  if (!lockFile) return {}
  if (holdsLock(lockFile)) return { lockFile }
  logger.warn('FLOTT_LOCK_FILE names a lock that this process does not hold: it runs unsupervised', { lockFile })
  return {}
}

/** FLOTT_READY_FILE (the scripts) and NOTIFY_SOCKET (systemd; also its watchdog). */
function readiness(): (text: string) => void {
  const file = process.env['FLOTT_READY_FILE']
  const notify = process.env['NOTIFY_SOCKET']
    ? (...states: string[]) => void spawn('systemd-notify', states, { stdio: 'ignore' })
    : () => {}
  const watchdogMs = Number(process.env['WATCHDOG_USEC'] ?? 0) / 1000
  let announced = false
  return (text) => {
    if (announced) return
    announced = true
    if (file) {
      writeFileSync(`${file}.new`, `${text}\n`)
      renameSync(`${file}.new`, file)
    }
    notify('--ready', `--pid=${process.pid}`, `--status=${text}`)
    if (watchdogMs > 0) every(systemClock, watchdogMs / 3, () => notify('WATCHDOG=1', `--pid=${process.pid}`), { unref: true })
  }
}
