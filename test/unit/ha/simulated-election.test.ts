import test from 'ava'
import { compareEpochs, type Epoch } from '#core/epoch.js'
import { silentLogger } from '#core/logger.js'
import { between, pick, seededRandom } from '#core/random.js'
import { SimulatedZooKeeper } from '#ha/memory/simulated-zookeeper.js'
import { ClusterPaths } from '#ha/zookeeper/zookeeper.js'
import { ZooKeeperLeaderElection } from '#ha/zookeeper/zookeeper-leader-election.js'
import type { Reign } from '#protocol/ha/leadership.js'
import { FakeClock } from '../../support/fake-clock.js'

const SESSION_MS = 6_000

/** Candidates over one simulated ensemble, under one clock; everything that happens is logged. */
class Cluster {
  readonly clock = new FakeClock()
  readonly paths = new ClusterPaths('sim')
  readonly log: string[] = []
  readonly reigns = new Map<string, Reign>()
  readonly elections = new Map<string, ZooKeeperLeaderElection>()
  readonly random
  readonly ensemble

  constructor(seed: number, names: readonly string[]) {
    this.random = seededRandom(seed)
    this.ensemble = new SimulatedZooKeeper(this.clock, this.random, { sessionTimeoutMs: SESSION_MS, latencyMs: [1, 20] })
    for (const name of names) this.elections.set(name, this.#candidate(name))
  }

  #candidate(name: string): ZooKeeperLeaderElection {
    let highest: Epoch | undefined
    return new ZooKeeperLeaderElection({
      zookeeper: this.ensemble.client(name),
      paths: this.paths,
      jobManagerId: name,
      clock: this.clock,
      random: this.random,
      logger: silentLogger,
      isMember: async (facts) => {
        await facts.createCluster({ clusterId: 'c', uuid: 'u', incarnation: 0 })
        return true
      },
      persistEpoch: async (epoch) => {
        if (highest && compareEpochs(epoch, highest) < 0) throw new Error('a lower epoch')
        highest = epoch
      },
      retryWaitMs: 500,
    })
  }

  async start(): Promise<void> {
    for (const [name, election] of this.elections) await election.start({ onGranted: async (reign) => this.#granted(name, reign) })
  }

  #granted(name: string, reign: Reign): void {
    this.reigns.set(name, reign)
    this.log.push(`${this.clock.monotonicMs()} ${name} leads ${reign.epoch.czxid}`)
    reign.signal.addEventListener('abort', () => {
      this.reigns.delete(name)
      this.log.push(`${this.clock.monotonicMs()} ${name} ends`)
    })
  }

  /** Those who believe that they lead. */
  get leaders(): string[] {
    return [...this.reigns.keys()]
  }
  leads = (name: string) => () => this.reigns.has(name)
}

async function started(
  seed: number,
  names: readonly string[] = ['a', 'b'],
): Promise<{ cluster: Cluster; leader: string; others: string[] }> {
  const cluster = new Cluster(seed, names)
  await cluster.start()
  await cluster.clock.runUntil(() => cluster.leaders.length === 1, { withinMs: 5_000 })
  const leader = cluster.leaders[0]!
  return { cluster, leader, others: names.filter((n) => n !== leader) }
}

test('a crashed leader is followed when its session expires, and at once when its supervisor ends the session', async (t) => {
  const crashed = await started(1)
  crashed.cluster.ensemble.crash(crashed.leader)
  const from = crashed.cluster.clock.monotonicMs()
  await crashed.cluster.clock.runUntil(crashed.cluster.leads(crashed.others[0]!), { withinMs: SESSION_MS + 500 })
  t.true(crashed.cluster.clock.monotonicMs() - from >= SESSION_MS)

  const released = await started(2)
  released.cluster.ensemble.release(released.leader)
  await released.cluster.clock.runUntil(released.cluster.leads(released.others[0]!), { withinMs: 500 })
  t.pass()
})

test('a leader that is cut off steps down by its lease, before the next one can lead', async (t) => {
  const { cluster, leader, others } = await started(3)
  const reign = cluster.reigns.get(leader)!
  cluster.ensemble.suspend(leader)
  t.true(reign.suspended)
  await cluster.clock.runUntil(() => reign.signal.aborted, { withinMs: SESSION_MS })
  t.deepEqual(cluster.leaders, [])
  await cluster.clock.runUntil(cluster.leads(others[0]!), { withinMs: SESSION_MS })
  cluster.ensemble.resume(leader)
  await cluster.clock.runUntil(() => cluster.elections.get(leader)!.state.kind === 'QUEUED', { withinMs: 5_000 })
  t.deepEqual(cluster.leaders, others)
})

test('a stopped leader that is continued after its session finds its writes refused, and becomes a standby', async (t) => {
  const { cluster, leader, others } = await started(4)
  const reign = cluster.reigns.get(leader)!
  await Promise.all([reign.facts.setIsr([], undefined), cluster.clock.advance(200)])
  cluster.ensemble.pause(leader)
  await cluster.clock.runUntil(cluster.leads(others[0]!), { withinMs: SESSION_MS + 500 })
  cluster.ensemble.continue(leader)
  const late = t.throwsAsync(reign.facts.setIsr([{ jobManagerId: 'x', diskId: 'x', address: 'x' }], 0), {
    code: 'ZOOKEEPER_SESSION_EXPIRED',
  })
  await cluster.clock.advance(1_000)
  await late
  t.true(reign.signal.aborted)
  t.is(cluster.ensemble.tree.get(cluster.paths.isr)?.version, 0)
  await cluster.clock.runUntil(() => cluster.elections.get(leader)!.state.kind === 'QUEUED', { withinMs: 5_000 })
  t.deepEqual(cluster.leaders, others)
})

test('an ensemble that stops for longer than a session ends no session; the leader goes by its lease and one leads again', async (t) => {
  const { cluster } = await started(5, ['a', 'b', 'c'])
  cluster.ensemble.stop()
  await cluster.clock.advance(3 * SESSION_MS)
  t.deepEqual(cluster.leaders, [])
  cluster.ensemble.start()
  await cluster.clock.runUntil(() => cluster.leaders.length === 1, { withinMs: 2 * SESSION_MS })
})

test('in every history at most one leads, epochs rise, and in the end one leads', async (t) => {
  for (let seed = 10; seed < 40; seed++) {
    const { log, leaders, broken } = await history(seed)
    t.deepEqual(broken, [], `seed ${seed}\n${log.join('\n')}`)
    t.is(leaders.length, 1, `seed ${seed}`)
  }
})

test('one seed is one history', async (t) => {
  t.deepEqual((await history(99)).log, (await history(99)).log)
})

async function history(seed: number): Promise<{ log: string[]; leaders: string[]; broken: string[] }> {
  const names = ['a', 'b', 'c']
  const cluster = new Cluster(seed, names)
  const { clock, ensemble, random } = cluster
  const broken: string[] = []
  /** Their sessions were ended from outside: they may not know yet. */
  const fenced = new Set<Reign>()
  let highest: Epoch | undefined
  await cluster.start()
  const look = () => {
    const leaders = cluster.leaders.filter((leader) => !fenced.has(cluster.reigns.get(leader)!))
    if (leaders.length > 1) broken.push(`${clock.monotonicMs()}: ${leaders} lead`)
  }
  for (let n = 0; n < 30; n++) {
    const name = pick(random, names)
    const faults = [
      () => ensemble.suspend(name),
      () => ensemble.resume(name),
      () => ensemble.resume(name),
      () => {
        const reign = cluster.reigns.get(name)
        if (reign) fenced.add(reign)
        ensemble.expire(name)
      },
      () => ensemble.loseAnswers(name, between(random, 1, 3)),
      () => void cluster.elections.get(name)!.stepDown('chance'),
    ]
    pick(random, faults)()
    for (let left = between(random, 0, 4_000); left > 0; left -= 50) {
      await clock.advance(50)
      look()
    }
    for (const reign of cluster.reigns.values()) {
      if (fenced.has(reign)) continue
      if (highest && compareEpochs(reign.epoch, highest) < 0) broken.push('an epoch fell')
      highest = reign.epoch
    }
  }
  for (const name of names) ensemble.resume(name)
  await clock.runUntil(() => cluster.leaders.length === 1, { withinMs: 4 * SESSION_MS }).catch(() => broken.push('nobody leads'))
  return { log: cluster.log, leaders: cluster.leaders, broken }
}
