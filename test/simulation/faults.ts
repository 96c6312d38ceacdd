/** What can go wrong. Each fault does its worst, to a victim that chance picks, and returns what ends it. */
import { between } from '#core/random.js'
import { FAIR, type SimulatedCluster } from './simulated-cluster.js'

type End = () => unknown
interface Fault {
  /** How often, compared with the others. */
  readonly weight: number
  /** It may cost a task its life, whoever the victim is: not where tasks are to be spared. */
  readonly harmsTasks?: true
  /** Not by chance: another fault beside it may end a job by right. */
  readonly onRequest?: true
  /** How long it lasts, in milliseconds. */
  readonly lastsMs: readonly [number, number]
  /** undefined where it can not happen now. */
  begin(cluster: SimulatedCluster): { readonly what: string; readonly end: End } | undefined
}
const NOTHING: End = () => {}

const mayFail = (cluster: SimulatedCluster) => (name: string) => !cluster.options.sparesTasks || name.startsWith('jm')
const alive = (cluster: SimulatedCluster, kind?: 'jobmanager' | 'taskmanager') =>
  cluster.processes
    .filter((process) => !process.clock.paused && (kind === undefined || process.kind === kind))
    .map(({ name }) => name)
    .filter(mayFail(cluster))

/** The leader more often than its share. */
function victim(cluster: SimulatedCluster, kind?: 'jobmanager' | 'taskmanager'): string | undefined {
  const { leader } = cluster
  if (leader !== undefined && kind !== 'taskmanager' && cluster.random.next() < 0.4) return leader
  return cluster.pick(alive(cluster, kind))
}
function onVictim(kind: 'jobmanager' | 'taskmanager' | undefined, act: (cluster: SimulatedCluster, name: string) => End): Fault['begin'] {
  return (cluster) => {
    const name = victim(cluster, kind)
    return name === undefined ? undefined : { what: name, end: act(cluster, name) }
  }
}
function onClient(act: (cluster: SimulatedCluster, client: string) => End): Fault['begin'] {
  return (cluster) => {
    const name = victim(cluster)
    const client = name === undefined ? undefined : cluster.process(name)?.zookeeperName
    return client === undefined ? undefined : { what: client, end: act(cluster, client) }
  }
}
/** Seldom enough that a part of what is tried succeeds, or always. */
function failureRate({ random }: SimulatedCluster): number {
  return random.next() < 0.7 ? 0.05 + random.next() / 4 : 1
}
function crashAll(names: (cluster: SimulatedCluster) => readonly string[]): Fault['begin'] {
  return (cluster) => {
    const power = cluster.random.next() < 0.4
    const supervised = cluster.random.next() < 0.5
    const all = names(cluster)
    for (const name of all)
      if (power) cluster.powerFails(name)
      else cluster.crash(name, supervised)
    return { what: all.join(' '), end: () => all.forEach((name) => void cluster.startProcess(name)) }
  }
}

export const FAULTS: Readonly<Record<string, Fault>> = {
  crash: {
    weight: 5,
    lastsMs: [0, 6_000],
    begin: onVictim(undefined, (cluster, name) => {
      cluster.crash(name, cluster.random.next() < 0.6)
      return () => cluster.startProcess(name)
    }),
  },
  'power fails': {
    weight: 3,
    lastsMs: [0, 6_000],
    begin: onVictim(undefined, (cluster, name) => {
      cluster.powerFails(name)
      return () => cluster.startProcess(name)
    }),
  },
  stop: {
    weight: 2,
    lastsMs: [1_000, 6_000],
    begin: onVictim(undefined, (cluster, name) => {
      cluster.stop(name)
      return () => cluster.startProcess(name)
    }),
  },
  drain: {
    weight: 2,
    lastsMs: [1_000, 12_000],
    begin: onVictim('taskmanager', (cluster, name) => {
      cluster.drain(name)
      return () => cluster.startProcess(name)
    }),
  },
  pause: {
    weight: 4,
    lastsMs: [100, 12_000],
    begin: onVictim(undefined, (cluster, name) => {
      cluster.pause(name)
      return () => cluster.continue(name)
    }),
  },
  'host sleeps': {
    weight: 2,
    harmsTasks: true, // By its own clock it was never away, so it takes those for dead who gave it up.
    lastsMs: [100, 12_000],
    begin: onVictim(undefined, (cluster, name) => {
      cluster.pause(name, { hostSleeps: true })
      return () => cluster.continue(name)
    }),
  },
  'session expires': {
    weight: 2,
    lastsMs: [0, 0],
    begin: onClient((cluster, client) => {
      cluster.zookeeper.expire(client)
      return NOTHING
    }),
  },
  'ZooKeeper is out of reach': {
    weight: 2,
    lastsMs: [100, 8_000],
    begin: onClient((cluster, client) => {
      cluster.zookeeper.suspend(client)
      return () => cluster.zookeeper.resume(client)
    }),
  },
  'ZooKeeper restarts': {
    weight: 1,
    lastsMs: [100, 10_000],
    begin(cluster) {
      cluster.zookeeper.stop()
      return { what: '', end: () => cluster.zookeeper.start() }
    },
  },
  'nobody reaches ZooKeeper': {
    weight: 1,
    lastsMs: [100, 8_000],
    begin(cluster) {
      cluster.zookeeper.isolate()
      return { what: '', end: () => cluster.zookeeper.rejoin() }
    },
  },
  'ZooKeeper lags': {
    weight: 2,
    lastsMs: [500, 6_000],
    begin({ zookeeper, random }) {
      zookeeper.lagMs = [0, between(random, 100, 2_000)]
      return { what: '', end: () => Object.assign(zookeeper, { lagMs: [0, 5] }) }
    },
  },
  'answers of writes are lost': {
    weight: 2,
    lastsMs: [0, 0],
    begin: onClient((cluster, client) => {
      cluster.zookeeper.loseAnswers(client, between(cluster.random, 1, 4))
      return NOTHING
    }),
  },
  cut: {
    weight: 4,
    lastsMs: [100, 9_000],
    begin(cluster) {
      const addresses = cluster.processes.map(({ address }) => address).filter(mayFail(cluster))
      const one = cluster.pick(addresses)
      const other = cluster.pick(addresses.filter((address) => address !== one))
      if (one === undefined || other === undefined) return undefined
      const oneWay = cluster.random.next() < 0.5
      if (oneWay) cluster.network.cutOneWay(one, other)
      else cluster.network.cut(one, other)
      return { what: `${one} ${oneWay ? 'to' : 'and'} ${other}`, end: () => cluster.network.heal(one, other) }
    },
  },
  'user code throws': {
    weight: 2,
    harmsTasks: true,
    lastsMs: [0, 0],
    begin(cluster) {
      cluster.trouble.armed = true
      return { what: '', end: NOTHING }
    },
  },
  'messages are lost': {
    weight: 2,
    harmsTasks: true,
    lastsMs: [500, 5_000],
    begin(cluster) {
      Object.assign(cluster.weather, { dropRate: 0.003 })
      return { what: '', end: () => Object.assign(cluster.weather, { dropRate: 0 }) }
    },
  },
  'messages are late': {
    weight: 2,
    harmsTasks: true, // Together with a pause that is too short to be noticed they make a silence that is too long.
    lastsMs: [500, 5_000],
    begin(cluster) {
      Object.assign(cluster.weather, { delayMs: [0, between(cluster.random, 20, 800)] })
      return { what: '', end: () => Object.assign(cluster.weather, { delayMs: FAIR.delayMs }) }
    },
  },
  'copies are damaged': {
    weight: 2,
    lastsMs: [0, 0],
    begin(cluster) {
      const name = cluster.pick(cluster.names.filter((n) => n.startsWith('tm')))!
      cluster.damageLocalCopies(name)
      return { what: name, end: NOTHING }
    },
  },
  'disk is slow': {
    weight: 1,
    lastsMs: [500, 6_000],
    begin: onVictim('jobmanager', (cluster, name) => {
      const disk = cluster.disks.get(name)!
      disk.writeMs = [0, between(cluster.random, 50, 3_000)]
      return () => Object.assign(disk, { writeMs: [0, 2] })
    }),
  },
  'disk is full': {
    weight: 1,
    lastsMs: [200, 5_000],
    begin: onVictim('jobmanager', (cluster, name) => {
      const disk = cluster.disks.get(name)!
      disk.full = true
      return () => disk.mend()
    }),
  },
  'disk fails': {
    weight: 1,
    lastsMs: [100, 4_000],
    begin: onVictim('jobmanager', (cluster, name) => {
      const disk = cluster.disks.get(name)!
      disk.failureRate = failureRate(cluster)
      return () => disk.mend()
    }),
  },
  'disk is lost': {
    weight: 1,
    lastsMs: [200, 4_000],
    begin(cluster) {
      const { invariants } = cluster
      const name = cluster.pick(cluster.names.filter((n) => n.startsWith('jm')))!
      // Another member of the set must be left: with the last disk gone, nobody may lead any more.
      if (!invariants.isr.some((replica) => replica.jobManagerId !== name && invariants.intact(replica))) return undefined
      cluster.wipe(name)
      return { what: name, end: () => cluster.startProcess(name) }
    },
  },
  'a blob is missing at a takeover': {
    weight: 2,
    onRequest: true,
    lastsMs: [10, 300], // Soon: chunks are not named for long.
    begin(cluster) {
      const { invariants, leader } = cluster
      const [standby, ...others] = invariants.isr.filter((replica) => replica.jobManagerId !== leader && invariants.intact(replica))
      if (leader === undefined || !standby || others.length === 0 || invariants.hasHoles) return undefined
      const blob = invariants.loseBlob(standby, others, (names) => cluster.pick(names))
      if (blob === undefined) return undefined
      void cluster.disks.get(standby.jobManagerId)!.lose(blob)
      cluster.wipe(leader) // It joins anew, and copies what its successor has.
      return { what: `${blob} on ${standby.jobManagerId}`, end: () => cluster.startProcess(leader) }
    },
  },
  'disks fail at a takeover': {
    weight: 2,
    lastsMs: [200, 6_000],
    begin(cluster) {
      const { leader } = cluster
      if (leader === undefined) return undefined
      const disks = [...cluster.disks.values()].filter(() => cluster.random.next() < 0.7)
      for (const disk of disks) disk.failureRate = failureRate(cluster)
      cluster.crash(leader)
      return {
        what: leader,
        end: () => {
          for (const disk of disks) disk.mend()
          cluster.startProcess(leader)
        },
      }
    },
  },
  'leader dies when not all sources know of a checkpoint': {
    weight: 2,
    harmsTasks: true,
    lastsMs: [500, 3_000],
    begin(cluster) {
      const { clock, leader, network, random } = cluster
      const from = leader === undefined ? undefined : cluster.process(leader)?.address
      const to = cluster.pick(cluster.processes.filter(({ kind }) => kind === 'taskmanager'))?.address
      if (leader === undefined || from === undefined || to === undefined) return undefined
      network.cutOneWay(from, to)
      const crash = clock.setTimer(between(random, 300, 450), () => {
        cluster.crash(leader)
        network.heal(from, to)
      })
      return {
        what: `${leader}, unheard by ${to}`,
        end: () => {
          crash.cancel()
          network.heal(from, to)
          cluster.startProcess(leader)
        },
      }
    },
  },
  'JobManagers crash under a restore': {
    weight: 3,
    harmsTasks: true,
    lastsMs: [2_000, 25_000],
    begin(cluster) {
      const all = cluster.random.next() < 0.6
      const crashed: string[] = []
      cluster.trouble.armed = true // So that there is something to restore.
      cluster.whenRestoring(() => {
        for (const name of all ? cluster.names.filter((n) => n.startsWith('jm')) : [cluster.leader ?? 'jm-1']) {
          crashed.push(name)
          cluster.crash(name, cluster.random.next() < 0.5)
        }
      })
      return {
        what: all ? 'all' : 'the leader',
        end: () => {
          cluster.whenRestoring(() => {})
          for (const name of crashed) cluster.startProcess(name)
        },
      }
    },
  },
  'all JobManagers crash': {
    weight: 1,
    lastsMs: [0, 12_000],
    begin: crashAll((cluster) => cluster.names.filter((n) => n.startsWith('jm'))),
  },
  'all processes crash': { weight: 1, harmsTasks: true, lastsMs: [0, 5_000], begin: crashAll((cluster) => cluster.names) },
}

/** Those that happen by chance. */
export const RANDOM_FAULTS: readonly string[] = Object.keys(FAULTS).filter((name) => !FAULTS[name]!.onRequest)

/** By its weight; undefined: none of them may happen here. */
export function pickFault(cluster: SimulatedCluster, among: readonly string[] = RANDOM_FAULTS): string | undefined {
  const entries = Object.entries(FAULTS).filter(
    ([name, { harmsTasks }]) => among.includes(name) && !(harmsTasks && cluster.options.sparesTasks),
  )
  let left = cluster.random.next() * entries.reduce((sum, [, { weight }]) => sum + weight, 0)
  for (const [name, { weight }] of entries) {
    left -= weight
    if (left < 0) return name
  }
  return entries[0]?.[0]
}
