/**
 * The process in which the program of an application runs: user code, which may use up its memory, block or leave, and must not take the
 * JobManager with it. Its standard output and error are those of the JobManager. It ends when its channel to the JobManager closes: it
 * does not outlive it for longer than it blocks.
 */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Logger } from '#core/logger.js'
import { ACCEPTED, type ApplicationCommand } from '#protocol/application.js'
import type { StartProgram } from './application.js'

const ENTRY = fileURLToPath(new URL('../../../client/cli/application-entry.js', import.meta.url))
/** The daemon's own, which its launcher gave to it alone. */
const OF_THE_DAEMON = ['FLOTT_LOCK_FILE', 'FLOTT_READY_FILE', 'NOTIFY_SOCKET', 'WATCHDOG_USEC', 'WATCHDOG_PID']
const FAILURE = 1

export function programStarter(command: ApplicationCommand, logger: Logger): StartProgram {
  return (told) => {
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !OF_THE_DAEMON.includes(name)))
    const child = spawn(process.execPath, [ENTRY, JSON.stringify(command)], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'], env })
    child.on('message', (message) => {
      if (message === ACCEPTED) told.accepted()
    })
    child.once('error', (cause) => {
      logger.error('the process of the program could not be started', { cause })
      told.ended(FAILURE)
    })
    child.once('exit', (code, signal) => {
      if (signal !== null) logger.error('the process of the program was ended', { signal })
      told.ended(code ?? FAILURE)
    })
    return {
      kill() {
        child.removeAllListeners().on('error', (cause) => logger.debug('the process of the program', { cause }))
        child.kill('SIGKILL')
      },
    }
  }
}
