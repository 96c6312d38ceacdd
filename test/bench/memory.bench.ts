/**
 * Resident memory of a JobManager and of a TaskManager with two slots that have nothing to do, with ZooKeeper, ten seconds after both
 * are ready. Run: node dist/test/bench/memory.bench.js [rounds] [seconds]
 */
import { setTimeout as pause } from 'node:timers/promises'
import { type Daemon, ProcessCluster } from '../support/process-cluster.js'
import { ZooKeeperServer } from '../support/zookeeper-server.js'
import { median, report } from './measure.js'

const [rounds = 3, seconds = 10] = process.argv.slice(2).map(Number)
const megabytes = (daemon: Daemon) => Math.round(daemon.rssBytes() / 2 ** 20)

const jobManager: number[] = []
const taskManager: number[] = []
const zookeeper = await ZooKeeperServer.start()
try {
  for (let round = 0; round < rounds; round++) {
    const cluster = await ProcessCluster.start({ jobManagers: 1, taskManagers: 1, slots: 2, zookeeper: zookeeper.connect })
    try {
      await pause(seconds * 1000)
      jobManager.push(megabytes(cluster.jobManagers[0]!))
      taskManager.push(megabytes(cluster.taskManagers[0]!))
    } finally {
      await cluster.stop()
    }
  }
} finally {
  await zookeeper.remove()
}
report('memory', {
  rounds,
  slots: 2,
  jobManagerMb: median(jobManager),
  jobManagerMaxMb: Math.max(...jobManager),
  taskManagerMb: median(taskManager),
  taskManagerMaxMb: Math.max(...taskManager),
})
