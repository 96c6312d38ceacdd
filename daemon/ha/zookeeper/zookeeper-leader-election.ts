import type { Clock, Timer } from '#core/clock.js'
import type { Epoch } from '#core/epoch.js'
import { FlottError, isFlottError } from '#core/errors.js'
import { randomId } from '#core/ids.js'
import type { Logger } from '#core/logger.js'
import { Outage } from '#core/outage.js'
import type { Random } from '#core/random.js'
import type { FactStore } from '#protocol/ha/facts.js'
import type { LeaderElection, Reign } from '#protocol/ha/leadership.js'
import { type ElectionEffect, type ElectionEvent, type ElectionState, STOPPED, step } from '../election-step.js'
import { GrantedReign } from '../reign.js'
import { publishEphemeral } from './ephemeral-node.js'
import { Lease } from './lease.js'
import { RegistrationWatch } from './registration-watch.js'
import { removeCredentials, writeCredentials } from './session-credentials.js'
import type { ClusterPaths, ZooKeeper, ZooKeeperSession } from './zookeeper.js'
import { ensureTree, zooKeeperFactStore } from './zookeeper-fact-store.js'

export interface ElectionOptions {
  readonly zookeeper: ZooKeeper
  readonly paths: ClusterPaths
  readonly jobManagerId: string
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  /** Whether this disk is in the in-sync set; an empty JobManager may create cluster and set on the way. Called again at each change of the set. */
  isMember(facts: FactStore): Promise<boolean>
  /** Durable when it resolves: the epoch is on disk before anything is acknowledged under it. NOT_LEADER when a higher one is. */
  persistEpoch(epoch: Epoch): Promise<void>
  /** What it takes to end our session goes there before the election node is created; absent: not written. */
  readonly credentials?: { readonly file: string; readonly quorum: string }
  /** Before another try after a failure. */
  readonly retryWaitMs: number
  /** Told of what made a try fail, besides the log; for instance CLUSTER_MISMATCH. */
  onFailed?(error: unknown): void
}

/** Everything that belongs to one session, hence to one turn. */
interface Turn {
  readonly number: number
  readonly session: ZooKeeperSession
  readonly facts: FactStore
  readonly registrations: RegistrationWatch
  /** Part of the name of the election node: it finds the node again when the answer to its creation was lost. */
  readonly guid: string
  node?: string
  confirmedAtMs?: number
  reign?: GrantedReign
  lease?: Lease
}

/** The shell around election-step.ts: performs its effects, reports back what came of them. */
export class ZooKeeperLeaderElection implements LeaderElection {
  #state: ElectionState = STOPPED
  #turn: Turn | undefined
  #candidate: { onGranted(reign: Reign): Promise<void> } | undefined
  #retry: Timer | undefined
  readonly #events: ElectionEvent[] = []
  #stepping = false
  readonly #changed = new Set<() => void>()

  readonly #outage: Outage

  constructor(private readonly options: ElectionOptions) {
    this.#outage = new Outage(options.logger)
  }

  /** For logs and tests. */
  get state(): ElectionState {
    return this.#state
  }

  async start(candidate: { onGranted(reign: Reign): Promise<void> }): Promise<void> {
    this.#candidate = candidate
    this.#report({ kind: 'start' })
  }

  async stepDown(reason: string, { again }: { again: boolean } = { again: true }): Promise<void> {
    const { turn } = this.#state
    this.#report({ kind: 'step-down', reason, again })
    await this.#until(() => this.#state.kind !== 'CLOSING' || this.#state.turn !== turn)
  }

  async stop(): Promise<void> {
    this.#report({ kind: 'step-down', reason: 'stopped', again: false })
    await this.#until(() => this.#state.kind === 'STOPPED')
    this.#retry?.cancel()
    const { credentials } = this.options
    if (credentials) await removeCredentials(credentials.file) // Of a session that had expired, where no newer one was opened.
  }

  async #until(reached: () => boolean): Promise<void> {
    while (!reached()) await new Promise<void>((resolve) => this.#changed.add(resolve))
  }

  /** One event after the other; effects report back by events of their own. */
  #report(event: ElectionEvent): void {
    this.#events.push(event)
    if (this.#stepping) return
    this.#stepping = true
    try {
      for (let next = this.#events.shift(); next; next = this.#events.shift()) {
        const { state, effects } = step(this.#state, next)
        if (state.kind !== this.#state.kind) this.options.logger.debug('election', { state: state.kind, event: next.kind })
        this.#state = state
        for (const effect of effects) this.#perform(effect, state.turn)
      }
    } finally {
      this.#stepping = false
    }
    const waiting = [...this.#changed]
    this.#changed.clear()
    for (const wake of waiting) wake()
  }

  #perform(effect: ElectionEffect, number: number): void {
    switch (effect.kind) {
      case 'open-session':
        this.#open(number).catch((error: unknown) => {
          this.#outage.failed('no ZooKeeper session can be opened', error)
          this.options.onFailed?.(error)
          this.#report({ kind: 'open-failed', turn: number })
        })
        break
      case 'check-membership':
        this.#run(number, () => this.#checkMembership(this.#current()))
        break
      case 'enter':
        this.#run(number, () => this.#enter(this.#current()))
        break
      case 'look-at-queue':
        this.#run(number, () => this.#lookAtQueue(this.#current()))
        break
      case 'confirm':
        this.#run(number, () => this.#confirm(this.#current()))
        break
      case 'grant':
        this.#run(number, () => this.#grant(this.#current(), effect.epoch))
        break
      case 'suspend':
        this.#current().reign?.suspend()
        break
      case 'resume':
        this.#current().lease?.renew()
        this.#current().reign?.resume()
        break
      case 'revoke':
        this.#revoke(this.#current(), effect.reason)
        break
      case 'close-session':
        void this.#close(this.#current())
        break
      case 'wait':
        this.#retry = this.options.clock.setTimer(this.options.retryWaitMs, () => this.#report({ kind: 'retry-due', turn: number }))
    }
  }

  #current(): Turn {
    if (!this.#turn) throw new Error('no session is open')
    return this.#turn
  }

  /** Work that reports its own success; its failure becomes an event here. */
  #run(turn: number, work: () => Promise<void>): void {
    work().catch(async (error: unknown) => {
      if (this.#state.turn !== turn || this.#state.kind === 'CLOSING') return
      if (isFlottError(error, 'ZOOKEEPER_UNAVAILABLE')) {
        const lives = await this.#current()
          .session.whenConnected()
          .then(
            () => true,
            () => false,
          )
        if (lives) this.#report({ kind: 'interrupted', turn })
        return // Else the session's own event has told.
      }
      this.#tell(error)
      this.#report({ kind: 'failed', turn, reason: error instanceof Error ? error.message : String(error) })
    })
  }

  #tell(error: unknown): void {
    this.options.logger.warn('leader election failed', { state: this.#state.kind, error })
    this.options.onFailed?.(error)
  }

  async #open(number: number): Promise<void> {
    const { zookeeper, paths, random, clock, logger } = this.options
    const session = await zookeeper.open()
    this.#outage.over('a ZooKeeper session is open')
    const registrations = new RegistrationWatch({ session, paths, clock, logger })
    const turn: Turn = { number, session, facts: zooKeeperFactStore(session, paths), registrations, guid: randomId(random) }
    this.#turn = turn
    session.onState((state) => {
      const kind = state === 'LOST' ? 'session-lost' : state === 'SUSPENDED' ? 'suspended' : 'reconnected'
      this.#report({ kind, turn: number })
    })
    this.#report({ kind: 'session-opened', turn: number })
  }

  async #checkMembership({ number, session, facts }: Turn): Promise<void> {
    const { paths, isMember } = this.options
    await ensureTree(session, paths)
    await session.get(paths.isr, () => this.#report({ kind: 'isr-changed', turn: number }))
    const member = await isMember(facts)
    this.#report({ kind: member ? 'member-found' : 'outsider-found', turn: number })
  }

  async #enter(turn: Turn): Promise<void> {
    const { credentials, jobManagerId, paths } = this.options
    const { id, password, timeoutMs } = turn.session
    if (credentials) await writeCredentials(credentials.file, { id, password, timeoutMs, quorum: credentials.quorum })
    await turn.session.sync(paths.election)
    const mine = (await turn.session.children(paths.election)).find((name) => name.startsWith(turn.guid))
    turn.node = mine
      ? `${paths.election}/${mine}`
      : await turn.session.create(`${paths.election}/${turn.guid}-`, Buffer.from(jobManagerId), 'ephemeral-sequential')
    this.#report({ kind: 'entered', turn: turn.number })
  }

  async #lookAtQueue(turn: Turn): Promise<void> {
    const { number, session } = turn
    const { paths } = this.options
    const queue = inOrder(await session.children(paths.election))
    const place = queue.findIndex((name) => `${paths.election}/${name}` === turn.node)
    if (place < 0) {
      this.#report({ kind: 'own-node-gone', turn: number })
      return
    }
    if (place === 0) {
      this.#report({ kind: 'first-found', turn: number })
      return
    }
    const gone = () => this.#report({ kind: 'predecessor-gone', turn: number })
    if (!(await session.get(`${paths.election}/${queue[place - 1]}`, gone))) gone()
  }

  /** DESIGN section 3, the order of a takeover, up to the grant. */
  async #confirm(turn: Turn): Promise<void> {
    const { number, session, facts, node } = turn
    const { clock, isMember, paths, persistEpoch } = this.options
    const sentAtMs = clock.monotonicMs()
    // One round trip: the session answers in the order of the calls, so the reads see what was acknowledged before the sync. If our node is
    // first, the session before has ended, and with it all writes of others.
    // The sync only tells sooner that our own session has ended. However late our server is, we have read that our node is first, so the
    // ends of the sessions before were read, and with them all that they wrote: leaders, and the operator's override, which refuses while
    // our node is there and writes only while its own is first. A session reads nothing older than it has read, on any server.
    const reads = Promise.all([session.sync(paths.root), session.get(node!), session.children(paths.election), facts.readCluster()])
    const membership = isMember(facts)
    membership.catch(() => {}) // It counts only if the rest holds.
    const [, own, queue, cluster] = await reads
    if (own?.ephemeralOwner !== session.id || `${paths.election}/${inOrder(queue)[0]}` !== node) {
      this.#report({ kind: 'own-node-gone', turn: number })
      return
    }
    if (!cluster) throw new FlottError('FACT_NOT_FOUND', `${paths.cluster} does not exist`)
    const epoch = { incarnation: cluster.value.incarnation, czxid: own.czxid }
    await persistEpoch(epoch)
    if (!(await membership)) {
      this.#report({ kind: 'outsider-found', turn: number })
      return
    }
    turn.confirmedAtMs = sentAtMs
    this.#report({ kind: 'confirmed', turn: number, epoch })
  }

  async #grant(turn: Turn, epoch: Epoch): Promise<void> {
    const { number, session, facts } = turn
    const { clock, logger, paths } = this.options
    const reign = new GrantedReign(
      epoch,
      facts,
      // Ephemeral: when the leader's session ends, nobody is sent to it any more.
      (info) => publishEphemeral(session, paths.leader, JSON.stringify(info)),
      () => turn.lease?.check(),
      turn.registrations,
    )
    turn.reign = reign
    turn.lease = new Lease(session, turn.node!, clock, {
      expired: () => this.#report({ kind: 'lease-expired', turn: number }),
      nodeGone: () => this.#report({ kind: 'own-node-gone', turn: number }),
    })
    turn.lease.start(turn.confirmedAtMs!)
    turn.registrations.start()
    if (session.state === 'SUSPENDED') this.#report({ kind: 'suspended', turn: number })
    logger.info('granted leadership', { epoch })
    try {
      await this.#candidate!.onGranted(reign)
    } catch (error) {
      if (reign.signal.aborted) return // It failed because the reign ended.
      logger.error('taking over failed', { epoch, error })
      this.options.onFailed?.(error)
      this.#report({ kind: 'failed', turn: number, reason: error instanceof Error ? error.message : String(error) })
    }
  }

  #revoke(turn: Turn, reason: string): void {
    this.options.logger.info('leadership ended', { epoch: turn.reign?.epoch, reason })
    turn.lease?.stop()
    turn.reign?.end(reason)
  }

  /** Never rejects: whatever happens, the session is not used any more. */
  async #close({ number, session }: Turn): Promise<void> {
    const { credentials, logger } = this.options
    try {
      await session.close()
      if (credentials) await removeCredentials(credentials.file)
    } catch (error) {
      logger.warn('closing the ZooKeeper session failed', { error })
    }
    this.#report({ kind: 'session-closed', turn: number })
  }
}

/** By the ten digits that ZooKeeper appended. */
function inOrder(names: readonly string[]): string[] {
  return [...names].sort((a, b) => (a.slice(-10) < b.slice(-10) ? -1 : 1))
}
