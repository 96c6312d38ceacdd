import { mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { systemClock } from '#core/clock.js'
import { compareEpochs, type Epoch } from '#core/epoch.js'
import { silentLogger } from '#core/logger.js'
import { seededRandom, systemRandom } from '#core/random.js'
import { SimulatedZooKeeper } from '#ha/memory/simulated-zookeeper.js'
import { NativeZooKeeper } from '#ha/zookeeper/native-zookeeper.js'
import { releaseSession } from '#ha/zookeeper/release-session.js'
import { ClusterPaths, type ZooKeeper } from '#ha/zookeeper/zookeeper.js'
import { type ElectionOptions, ZooKeeperLeaderElection } from '#ha/zookeeper/zookeeper-leader-election.js'
import { ZooKeeperLeaderRetrieval } from '#ha/zookeeper/zookeeper-leader-retrieval.js'
import type { FactStore, LeaderInfo } from '#protocol/ha/facts.js'
import type { Reign } from '#protocol/ha/leadership.js'
import { ZooKeeperServer } from '../support/zookeeper-server.js'

/** An ensemble of its own, and what can be done to it. */
interface Ensemble {
  client(name: string): ZooKeeper
  /** Where the credentials of the client's session are written; undefined where there is no file. */
  credentials(name: string): { readonly file: string; readonly quorum: string } | undefined
  /** Ends the client's session from outside. */
  endSession(name: string): Promise<void>
  /** All connections break, and stay so until `heal`. */
  cut(): Promise<void>
  heal(): Promise<void>
  remove(): Promise<void>
}

async function simulated(): Promise<Ensemble> {
  const ensemble = new SimulatedZooKeeper(systemClock, seededRandom(1), { sessionTimeoutMs: 4_000, latencyMs: [0, 1] })
  return {
    client: (name) => ensemble.client(name),
    credentials: () => undefined,
    endSession: async (name) => ensemble.expire(name),
    cut: async () => ensemble.stop(),
    heal: async () => ensemble.start(),
    async remove() {},
  }
}

function retrievalOver(ensemble: Ensemble, paths: ClusterPaths): ZooKeeperLeaderRetrieval {
  return new ZooKeeperLeaderRetrieval({
    zookeeper: ensemble.client('client'),
    paths,
    clock: systemClock,
    logger: silentLogger,
    retryWaitMs: 20,
  })
}

async function real(): Promise<Ensemble> {
  const server = await ZooKeeperServer.start()
  const directory = await mkdtemp(join(tmpdir(), 'flott-runtime-'))
  // The first two never connect: a name without address, and a port that refuses.
  const quorum = `no-such-host.invalid:2181,127.0.0.1:1,${server.connect}`
  const deps = { clock: systemClock, random: systemRandom, logger: silentLogger }
  // Nothing here waits for a session to expire, and a restart of the server must not take as long. The client looks again after a third of it.
  const client = () => new NativeZooKeeper({ quorum, sessionTimeoutMs: 30_000, connectionTimeoutMs: 60_000 }, deps)
  const credentials = (name: string) => ({ file: join(directory, name), quorum })
  return {
    client,
    credentials,
    async endSession(name) {
      await releaseSession(credentials(name).file, deps)
    },
    cut: () => server.stop('SIGKILL'),
    heal: () => server.run(),
    async remove() {
      await server.remove()
      await rm(directory, { recursive: true })
    },
  }
}

/** What happens to one candidate, in order; tests wait for the next thing. */
class Candidate {
  readonly reigns: Reign[] = []
  readonly epochs: Epoch[] = []
  readonly election: ZooKeeperLeaderElection
  #waiting: (() => void)[] = []
  failNextGrant = false
  member = true

  constructor(
    readonly name: string,
    ensemble: Ensemble,
    paths: ClusterPaths,
    over: Partial<ElectionOptions> = {},
  ) {
    const credentials = ensemble.credentials(name)
    this.election = new ZooKeeperLeaderElection({
      zookeeper: ensemble.client(name),
      paths,
      jobManagerId: name,
      clock: systemClock,
      random: systemRandom,
      logger: silentLogger,
      isMember: async (facts: FactStore) => {
        await facts.createCluster({ clusterId: 'c', uuid: 'u', incarnation: 0 })
        return this.member
      },
      persistEpoch: async (epoch) => void this.epochs.push(epoch),
      retryWaitMs: 20,
      ...(credentials === undefined ? {} : { credentials }),
      ...over,
    })
  }

  async start(): Promise<void> {
    await this.election.start({
      onGranted: async (reign) => {
        this.reigns.push(reign)
        for (const wake of this.#waiting.splice(0)) wake()
        if (!this.failNextGrant) return
        this.failNextGrant = false
        throw new Error('the takeover fails')
      },
    })
  }

  /** The n-th reign, from 1. */
  async reign(n: number): Promise<Reign> {
    while (this.reigns.length < n) await new Promise<void>((resolve) => this.#waiting.push(resolve))
    return this.reigns[n - 1]!
  }
}

async function until(reached: () => boolean): Promise<void> {
  while (!reached()) await new Promise((resolve) => setTimeout(resolve, 5))
}
function ended(signal: AbortSignal): Promise<void> {
  return signal.aborted ? Promise.resolve() : new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
}
const info = (jobManagerId: string, epoch: Epoch): LeaderInfo => ({
  jobManagerId,
  rpcAddress: `${jobManagerId}:1`,
  restUrl: 'http://x',
  epoch,
})

for (const [kind, open] of Object.entries({ 'simulated ZooKeeper': simulated, ZooKeeper: real })) {
  // One after the other: each real one has a server of its own, and some of them stop it.
  const check = (
    title: string,
    body: (
      t: ExecutionContext,
      subject: { ensemble: Ensemble; paths: ClusterPaths; candidate(name: string, over?: Partial<ElectionOptions>): Candidate },
    ) => Promise<void>,
  ) =>
    test.serial(`${kind}: ${title}`, async (t) => {
      const ensemble = await open()
      const paths = new ClusterPaths('test')
      const candidates: Candidate[] = []
      const candidate = (name: string, over?: Partial<ElectionOptions>) => {
        candidates.push(new Candidate(name, ensemble, paths, over))
        return candidates.at(-1)!
      }
      try {
        await body(t, { ensemble, paths, candidate })
        await Promise.all(candidates.map((c) => c.election.stop()))
      } finally {
        await ensemble.remove()
      }
    })

  check('a single candidate leads, with its epoch on disk before', async (t, { candidate }) => {
    const a = candidate('a')
    await a.start()
    const reign = await a.reign(1)
    t.deepEqual(a.epochs, [reign.epoch])
    t.false(reign.suspended)
    await reign.whenConfirmed()
    t.is(await reign.facts.setIsr([], undefined), 0)
  })

  check('two candidates: the leader leaves, the other leads with a higher epoch', async (t, { candidate }) => {
    const [a, b] = [candidate('a'), candidate('b')]
    await a.start()
    const first = await a.reign(1)
    await b.start()
    await a.election.stepDown('test', { again: false })
    t.true(first.signal.aborted)
    t.like(first.signal.reason, { code: 'NOT_LEADER' })
    const second = await b.reign(1)
    t.true(compareEpochs(second.epoch, first.epoch) > 0)
    await t.throwsAsync(first.facts.setIsr([], undefined), { code: 'ZOOKEEPER_SESSION_EXPIRED' })
    await t.throwsAsync(first.whenConfirmed(), { code: 'NOT_LEADER' })
    await t.throwsAsync(first.publish(info('a', first.epoch)), { code: 'NOT_LEADER' })
    t.is(a.reigns.length, 1)
  })

  check('who steps down enters again behind the others', async (t, { candidate }) => {
    const [a, b] = [candidate('a'), candidate('b')]
    await a.start()
    await a.reign(1)
    await b.start()
    await until(() => b.election.state.kind === 'QUEUED')
    await b.election.stepDown('while queued', { again: true })
    await until(() => b.election.state.kind === 'QUEUED')
    await a.election.stepDown('hand over')
    await b.reign(1)
    await b.election.stepDown('hand back', { again: false })
    const third = await a.reign(2)
    t.true(compareEpochs(third.epoch, b.reigns[0]!.epoch) > 0)
  })

  check('a session ended from outside ends the reign; its writes are refused; the other leads', async (t, { ensemble, candidate }) => {
    const [a, b] = [candidate('a'), candidate('b')]
    await a.start()
    const first = await a.reign(1)
    await first.facts.setIsr([], undefined)
    await b.start()
    await until(() => b.election.state.kind === 'QUEUED')
    await ensemble.endSession('a')
    const second = await b.reign(1)
    await t.throwsAsync(first.facts.setIsr([], 0), { code: 'ZOOKEEPER_SESSION_EXPIRED' })
    await ended(first.signal)
    t.is((await second.facts.readIsr())?.version, 0)
    await b.election.stepDown('test', { again: false })
    await a.reign(2) // It has entered again by itself.
  })

  check('a takeover that fails ends the reign, and the candidate tries again', async (t, { candidate }) => {
    const a = candidate('a')
    a.failNextGrant = true
    await a.start()
    const first = await a.reign(1)
    const second = await a.reign(2)
    t.true(first.signal.aborted)
    t.true(compareEpochs(second.epoch, first.epoch) > 0)
  })

  check('a connection that blinks suspends the reign and does not end it', async (t, { ensemble, candidate }) => {
    const [a, b] = [candidate('a'), candidate('b')]
    await a.start()
    const reign = await a.reign(1)
    await reign.facts.setIsr([], undefined)
    await b.start()
    await until(() => b.election.state.kind === 'QUEUED')
    await ensemble.cut()
    await until(() => reign.suspended)
    let confirmed = false
    const whenConfirmed = reign.whenConfirmed().then(() => (confirmed = true))
    const write = reign.facts.setIsr([{ jobManagerId: 'x', diskId: 'x', address: 'x' }], 0)
    t.false(confirmed)
    await ensemble.heal()
    const [, version] = await Promise.all([whenConfirmed, write])
    t.false(reign.suspended)
    t.is(version, 1)
    t.false(reign.signal.aborted)
    t.is(b.reigns.length, 0)
    await a.election.stepDown('test', { again: false })
    await b.reign(1)
  })

  check('who is not in the in-sync set stays outside until the set changes', async (t, { candidate, ensemble, paths }) => {
    const a = candidate('a')
    a.member = false
    await a.start()
    await until(() => a.election.state.kind === 'OUTSIDE')
    const session = await ensemble.client('other').open()
    t.deepEqual(await session.children(paths.election), [])
    a.member = true
    await session.create(paths.isr, Buffer.from('[]'), 'persistent')
    await a.reign(1)
    t.is((await session.children(paths.election)).length, 1)
    await session.close()
  })

  check('an epoch that can not be persisted is no reign', async (t, { candidate }) => {
    let tries = 0
    const a = candidate('a', {
      persistEpoch: async () => {
        if (++tries < 3) throw new Error('disk full')
      },
    })
    await a.start()
    await a.reign(1)
    t.is(tries, 3)
    t.is(a.reigns.length, 1)
  })

  check('what no leader wrote is nobody, and does no harm', async (t, { candidate, ensemble, paths }) => {
    const retrieval = retrievalOver(ensemble, paths)
    const a = candidate('a')
    await a.start()
    const reign = await a.reign(1)
    const session = await ensemble.client('stranger').open()
    await session.create(paths.leader, Buffer.from('{ no JSON'), 'persistent')
    await retrieval.start()
    const found = new Promise((resolve) => retrieval.watch((leader) => leader && resolve(leader)))
    t.is(retrieval.current, undefined)
    await reign.publish(info('a', reign.epoch))
    t.deepEqual(await found, info('a', reign.epoch))
    await retrieval.stop()
    await session.close()
  })

  check('retrieval hears of each leader once, and of its end', async (t, { candidate, ensemble, paths }) => {
    const retrieval = retrievalOver(ensemble, paths)
    const heard: (string | undefined)[] = []
    let wake = () => {}
    retrieval.watch((leader) => {
      heard.push(leader?.jobManagerId)
      wake()
    })
    const hearing = async (count: number) => {
      while (heard.length < count) await new Promise<void>((resolve) => (wake = resolve))
    }
    await retrieval.start()
    const [a, b] = [candidate('a'), candidate('b')]
    await a.start()
    const first = await a.reign(1)
    await first.publish(info('a', first.epoch))
    await first.publish(info('a', first.epoch))
    await hearing(1)
    t.deepEqual(retrieval.current, info('a', first.epoch))
    await b.start()
    await a.election.stepDown('test', { again: false })
    const second = await b.reign(1)
    await hearing(2)
    await second.publish(info('b', second.epoch))
    await hearing(3)
    t.deepEqual(heard, ['a', undefined, 'b'])
    await retrieval.stop()
  })
}

test.serial('ZooKeeper: the credentials are 0600, are there before the node is, and are gone after a clean stop', async (t) => {
  const ensemble = await real()
  try {
    const a = new Candidate('a', ensemble, new ClusterPaths('test'))
    await a.start()
    await a.reign(1)
    const { file } = ensemble.credentials('a')!
    t.is((await stat(file)).mode & 0o777, 0o600)
    t.regex(await readFile(file, 'utf8'), /"password":"[0-9A-F]{32}"/)
    await a.election.stop()
    await t.throwsAsync(stat(file), { code: 'ENOENT' })
    t.is(await releaseSession(file, { clock: systemClock, random: systemRandom, logger: silentLogger }), 'nothing')
  } finally {
    await ensemble.remove()
  }
})
