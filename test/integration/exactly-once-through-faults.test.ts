/**
 * A keyed job with a file sink on real processes and a real ZooKeeper gives exactly the reference output through crashes. Each seed is
 * one job on one cluster, with all four faults in an order of its own.
 */
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { between, seededRandom } from '#core/random.js'
import { FAULTS, type FaultName, injectFault, pause, shuffled } from '../support/faults.js'
import { committedLines, mistakesOf, NO_MISTAKES } from '../support/numbered-counts.js'
import { ProcessCluster } from '../support/process-cluster.js'
import { ZooKeeperServer } from '../support/zookeeper-server.js'

const SESSION_TIMEOUT_MS = 2_000
const KEYS = 50
const RATE = 1_000

async function startCluster(zookeeper: ZooKeeperServer, supervised = false): Promise<ProcessCluster> {
  return ProcessCluster.start({
    supervised,
    jobManagers: 2,
    taskManagers: 2,
    slots: 2,
    zookeeper: zookeeper.connect,
    settings: { 'high-availability.zookeeper.client.session-timeout': `${SESSION_TIMEOUT_MS} ms`, 'env.log.level': 'info' },
  })
}

/** Runs the workload with the faults in the middle of it; an empty list when the output is right. */
async function runThrough(
  faults: readonly FaultName[],
  seed: number,
  target: { cluster: ProcessCluster; zookeeper: ZooKeeperServer },
): Promise<object> {
  const { cluster } = target
  const random = seededRandom(seed)
  const records = RATE * (2 + faults.length * 4)
  const output = mkdtempSync(join(tmpdir(), 'flott-counts-'))
  const job = cluster.startFlott(['run', 'test/integration/jobs/numbered-counts.ts', String(records), String(KEYS), String(RATE), output])
  await cluster.until('a checkpoint is complete', async () => {
    const jobs = await cluster.jobs()
    const running = jobs.find(({ state }) => state === 'RUNNING')
    if (!running) return false
    return (await cluster.rest<{ counts: { completed: number } }>(`/jobs/${running.jid}/checkpoints`)).counts.completed > 0
  })
  for (const fault of faults) {
    await pause(between(random, 200, 1_500))
    await injectFault(fault, { ...target, random, sessionTimeoutMs: SESSION_TIMEOUT_MS })
  }
  const { code, stdout, stderr } = await job.result
  const mistakes = mistakesOf(committedLines(output), records, KEYS)
  return code === 0 ? mistakes : { code, stdout, stderr, mistakes }
}

for (const fault of FAULTS)
  test.serial(`exactly once through ${fault}${fault === 'stop-leader' ? ', longer than its session lasts' : ''}`, async (t) => {
    t.timeout(180_000)
    const zookeeper = await ZooKeeperServer.start()
    t.teardown(() => zookeeper.remove())
    const cluster = await startCluster(zookeeper)
    t.teardown(() => cluster.stop())
    t.deepEqual(await runThrough([fault], 1, { cluster, zookeeper }), NO_MISTAKES, cluster.logs())
  })

test.serial('exactly once through kill-leader, where a supervisor hands leadership over at once', async (t) => {
  t.timeout(180_000)
  const zookeeper = await ZooKeeperServer.start()
  t.teardown(() => zookeeper.remove())
  const cluster = await startCluster(zookeeper, true)
  t.teardown(() => cluster.stop())
  t.deepEqual(await runThrough(['kill-leader', 'kill-leader'], 2, { cluster, zookeeper }), NO_MISTAKES, cluster.logs())
})

test.serial('exactly once through all of them, in 20 orders', async (t) => {
  t.timeout(900_000)
  const zookeeper = await ZooKeeperServer.start()
  t.teardown(() => zookeeper.remove())
  const cluster = await startCluster(zookeeper)
  t.teardown(() => cluster.stop())
  for (let seed = 1; seed <= 20; seed++) {
    const order = shuffled(FAULTS, seededRandom(seed))
    t.deepEqual(await runThrough(order, seed, { cluster, zookeeper }), NO_MISTAKES, `seed ${seed}: ${order.join(', ')}\n${cluster.logs()}`)
  }
})
