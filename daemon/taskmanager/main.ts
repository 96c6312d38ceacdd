/** The TaskManager process: configuration -> services -> run until SIGTERM. */
import { runDaemon } from '#core/daemon-process.js'
import { startTaskManager } from './start-task-manager.js'

await runDaemon('taskmanager', startTaskManager)
