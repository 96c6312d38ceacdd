/** The JobManager process of an application: bin/standalone-job.sh. Beside a daemon's own arguments: --job FILE [--job-id ID] [-- ARGUMENTS]. */
import { daemonArguments, runDaemon } from '#core/daemon-process.js'
import { startJobManager } from '../start-job-manager.js'
import { type ApplicationArguments, applicationArguments } from './application-arguments.js'

const EXIT_USAGE = 2

function argumentsOrExit(): ApplicationArguments {
  try {
    return applicationArguments(process.argv.slice(2))
  } catch (error) {
    process.stderr.write(`standalonejob: ${(error as Error).message}\n`)
    process.exit(EXIT_USAGE)
  }
}

const { own, program } = argumentsOrExit()
await runDaemon('standalonejob', (context) => startJobManager(context, { ...program, dynamic: daemonArguments(own).dynamic }), own)
