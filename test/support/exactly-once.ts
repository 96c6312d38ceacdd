/**
 * A keyed job with a file sink on real processes and a real ZooKeeper gives exactly the reference output through crashes. Each seed is
 * one job on one cluster, with all four faults in an order of its own.
 */
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ExecutionContext } from 'ava'
import { between, seededRandom } from '#core/random.js'
import { FAULTS, type FaultName, injectFault, pause, shuffled } from './faults.js'
import { committedLines, mistakesOf, NO_MISTAKES } from './numbered-counts.js'
import { ProcessCluster } from './process-cluster.js'
import { ZooKeeperServer } from './zookeeper-server.js'

const TEST_TIMEOUT_MS = 600_000
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
  const records = RATE * (2 + faults.length * 3)
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

/** Each list of faults under one run of the workload, one after the other on one cluster; numbered by the seed of its chances. */
export async function survives(
  t: ExecutionContext,
  runs: readonly { readonly seed: number; readonly faults: readonly FaultName[] }[],
  options: { readonly supervised?: boolean } = {},
): Promise<void> {
  t.timeout(TEST_TIMEOUT_MS + 60_000)
  const zookeeper = await ZooKeeperServer.start()
  t.teardown(() => zookeeper.remove())
  const cluster = await startCluster(zookeeper, options.supervised)
  t.teardown(() => cluster.stop())
  // Over before the test runner's own time is, which would not say what hangs.
  const late = sleep(TEST_TIMEOUT_MS, 'not at its end', { ref: false })
  for (const { seed, faults } of runs) {
    const outcome = await Promise.race([runThrough(faults, seed, { cluster, zookeeper }), late])
    t.deepEqual(outcome, NO_MISTAKES, `seed ${seed}: ${faults.join(', ')}\n${cluster.logs()}`)
  }
}

/** All faults, in the order that the seed gives, for `count` seeds from `first` on. */
export function ordersOf(first: number, count: number): { seed: number; faults: readonly FaultName[] }[] {
  return Array.from({ length: count }, (_, i) => ({ seed: first + i, faults: shuffled(FAULTS, seededRandom(first + i)) }))
}
