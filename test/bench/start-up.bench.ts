/**
 * How long a cluster takes until it is ready: start-cluster.sh with two JobManagers, two TaskManagers and ZooKeeper, from the call to
 * its end, which is when all have registered; and a JobManager and a TaskManager by themselves, from the start of the process until it
 * leads or is registered. Run: node dist/test/bench/start-up.bench.js [rounds]
 */
import { Installation } from '../support/installation.js'
import { type Daemon, ProcessCluster } from '../support/process-cluster.js'
import { ZooKeeperServer } from '../support/zookeeper-server.js'
import { type Elapsed, report, spread, timed } from './measure.js'

const [rounds = 5] = process.argv.slice(2).map(Number)

async function startCluster(zookeeper: ZooKeeperServer): Promise<Elapsed> {
  const installation = await Installation.create({
    zookeeper: zookeeper.connect,
    workers: 2,
    settings: { 'high-availability.cluster-id': `start-up-${clusters++}` },
  })
  try {
    return await timed(async () => {
      const { code, stdout, stderr } = await installation.run('start-cluster.sh')
      if (code !== 0) throw new Error(`start-cluster.sh ended with ${code}: ${stdout}${stderr}`)
    })
  } finally {
    await installation.run('stop-cluster.sh')
    installation.remove()
  }
}
let clusters = 0

async function restart(daemon: Daemon): Promise<Elapsed> {
  await daemon.kill('SIGTERM')
  return timed(() => daemon.start())
}

const times: Record<'startCluster' | 'jobManager' | 'taskManager', Elapsed[]> = { startCluster: [], jobManager: [], taskManager: [] }
const zookeeper = await ZooKeeperServer.start()
const cluster = await ProcessCluster.start({ jobManagers: 1, taskManagers: 1, slots: 2 })
try {
  for (let round = 0; round < rounds; round++) {
    times.startCluster.push(await startCluster(zookeeper))
    times.jobManager.push(await restart(cluster.jobManagers[0]!))
    times.taskManager.push(await restart(cluster.taskManagers[0]!))
  }
} finally {
  await cluster.stop()
  await zookeeper.remove()
}
const figures = Object.entries(times).map(([what, measured]) => spread(what, measured))
report('start-up', { rounds, ...Object.assign({}, ...figures) })
