/** The JobManager process: configuration -> services -> run until SIGTERM. */
import { runDaemon } from '#core/daemon-process.js'
import { startJobManager } from './start-job-manager.js'

await runDaemon('jobmanager', startJobManager)
