/**
 * The program of an application, in a process of its own: the JobManager that leads starts it (daemon/jobmanager/application), with an
 * ApplicationCommand as JSON. Exit code 0: the program has ended, or has failed because its job did; how the job ended the JobManager
 * knows. The process ends with its channel to the JobManager.
 */
import { loadConfig } from '#core/config/load-config.js'
import { isFlottError } from '#core/errors.js'
import { ACCEPTED, type ApplicationCommand } from '#protocol/application.js'
import { runProgram } from '../submit/program-runner.js'
import { RestClusterClient } from '../submit/rest-cluster-client.js'
import { ApplicationCluster } from './application-cluster.js'
import { jobSettings, settingsOfTexts } from './connect.js'
import { EXIT, exitCodeOf } from './exit-codes.js'
import { describeError, namingProgram, stackOf } from './run.js'
import { processTerminal } from './terminal.js'

const terminal = processTerminal()
const command = JSON.parse(process.argv[2]!) as ApplicationCommand

function fail(error: unknown): never {
  terminal.note(describeError(error))
  process.exit(exitCodeOf(error))
}
process.once('disconnect', () => process.exit(EXIT.FAILURE))
process.channel?.unref() // It keeps no program waiting that has nothing left to do.

async function main({ file, args, jobId, restUrl, configDir, dynamic }: ApplicationCommand): Promise<void> {
  const { explicit } = loadConfig({ confDir: configDir, fileRequired: true, env: process.env, dynamic })
  const cluster = new ApplicationCluster(new RestClusterClient({ restUrl }), () => process.send?.(ACCEPTED))
  const options = { file, args, jobId, cluster, defaults: jobSettings(explicit), overrides: jobSettings(settingsOfTexts(dynamic)) }
  await namingProgram(file, async () => {
    await runProgram(options)
    // Whoever does not await its own main() has not submitted yet, and is not at its end when it has.
    await cluster.jobEnded
  })
}

function failUnlessItsJobDid(error: unknown): void {
  // A job that did not finish is no failure of its program.
  if (!isFlottError(error, 'JOB_FAILED', 'JOB_CANCELED')) fail(error)
  terminal.note(stackOf(error))
}
for (const event of ['uncaughtException', 'unhandledRejection'] as const)
  process.on(event, (error) => {
    failUnlessItsJobDid(error)
  })

try {
  await main(command)
} catch (error) {
  failUnlessItsJobDid(error)
}
// What a program left running (timers, sockets) must not hold the application.
process.exit()
