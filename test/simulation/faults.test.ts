import test from 'ava'
import { between, pick } from '#core/random.js'
import { CommittedOutput, countingProgram, expectedLines } from './counting-job.js'
import { SimulatedCluster } from './simulated-cluster.js'

const JOB = { records: 4_000, keys: 13, ratePerSecond: 300 }
const CONFIG = { 'execution.checkpointing.interval': '500 ms', 'parallelism.default': 2 }

/** Each does its worst and returns what ends it. */
const FAULTS: Readonly<Record<string, (cluster: SimulatedCluster) => () => unknown>> = {
  crash(cluster) {
    const victim = pick(cluster.random, cluster.processes)
    cluster.crash(victim)
    return () => cluster.restart(victim)
  },
  'leader loses its session'(cluster) {
    if (cluster.leader) cluster.zookeeper.expire(cluster.leader)
    return () => {}
  },
  'leader loses ZooKeeper'(cluster) {
    const { leader } = cluster
    if (leader) cluster.zookeeper.suspend(leader)
    return () => leader && cluster.zookeeper.resume(leader)
  },
  'answers of writes are lost'(cluster) {
    if (cluster.leader) cluster.zookeeper.loseAnswers(cluster.leader, 2)
    return () => {}
  },
  'ZooKeeper is down'(cluster) {
    cluster.zookeeper.stop()
    return () => cluster.zookeeper.start()
  },
  'two processes are cut off'(cluster) {
    const addresses = cluster.processes.map((name) => `${name}:${name.startsWith('jm') ? 6123 : 6122}`)
    const one = pick(cluster.random, addresses)
    const other = pick(
      cluster.random,
      addresses.filter((address) => address !== one),
    )
    cluster.network.cut(one, other)
    return () => cluster.network.heal(one, other)
  },
}

test('whatever fails, one after the other, each record is counted and committed exactly once', async (t) => {
  for (let seed = 1; seed <= 6; seed++) {
    const output = new CommittedOutput()
    const program = countingProgram(JOB, output, CONFIG)
    const cluster = new SimulatedCluster({ seed, jobManagers: 2, taskManagers: 3, slotsEach: 2, dropRate: 0.0005, program })
    await cluster.start()
    const { jobId } = await cluster.submit()
    const history: string[] = []
    for (let fault = 0; fault < 4; fault++) {
      await cluster.clock.advance(between(cluster.random, 100, 4_000))
      const name = pick(cluster.random, Object.keys(FAULTS))
      history.push(`${cluster.clock.monotonicMs()} ${name}`)
      const end = FAULTS[name]!(cluster)
      await cluster.clock.advance(between(cluster.random, 0, 9_000))
      await end()
    }
    cluster.faulty = false
    await cluster.untilStatus(jobId, 'FINISHED', 300_000)
    t.deepEqual([...output.lines].sort(), expectedLines(JOB), `seed ${seed}: ${history.join(', ')}`)
  }
})
