/** What will be done to the cluster, decided by the seed alone: the same seed chooses the same faults, whatever becomes of them. */
import { between, pick, type Random, seededRandom } from '#core/random.js'
import { shuffled } from '../support/faults.js'

/** What is done to one process or its host. */
export type Harm = 'kill' | 'stop' | 'terminate' | 'cut' | 'mute' | 'slow' | 'clock-jump'
/** What is done to more than one, or has conditions, and so is never done beside another fault. */
export type Disaster = 'zookeeper-quorum-lost' | 'all-killed' | 'all-stopped' | 'disk-full' | 'data-wiped'
export type Role = 'leader' | 'standby' | 'taskmanager' | 'zookeeper' | 'all'

export interface FaultKind {
  readonly harm: Harm | Disaster
  readonly role: Role
}
export interface Fault extends FaultKind {
  /** In [0, 1): chooses among those that have the role when it comes to it. */
  readonly draw: number
  /** In [0, 1): how much, where there is such a thing. */
  readonly degree: number
  /** After the begin of its step. */
  readonly atMs: number
  /** Until it is taken back. */
  readonly lengthMs: number
}
export interface Step {
  readonly faults: readonly Fault[]
  /** Recovery is waited for and measured; else the next step begins after the pause, whatever the cluster is at. */
  readonly settles: boolean
  readonly pauseMs: number
}

const DAEMON_HARMS: readonly Harm[] = ['kill', 'stop', 'terminate', 'cut', 'mute', 'slow', 'clock-jump']
const HARMS: Readonly<Partial<Record<Role, readonly Harm[]>>> = {
  leader: DAEMON_HARMS,
  standby: DAEMON_HARMS,
  taskmanager: DAEMON_HARMS,
  zookeeper: ['kill', 'stop', 'cut', 'mute', 'slow'],
}
const DISASTERS: readonly FaultKind[] = [
  { harm: 'zookeeper-quorum-lost', role: 'zookeeper' },
  { harm: 'all-killed', role: 'all' },
  { harm: 'all-stopped', role: 'all' },
  { harm: 'disk-full', role: 'leader' },
  { harm: 'disk-full', role: 'standby' },
  { harm: 'data-wiped', role: 'leader' },
  { harm: 'data-wiped', role: 'standby' },
]
export const FAULT_KINDS: readonly FaultKind[] = [
  ...Object.entries(HARMS).flatMap(([role, harms]) => harms.map((harm) => ({ harm, role: role as Role }))),
  ...DISASTERS,
]

/** Without end. Each kind comes once before any comes again. */
export function* plan(seed: number): Generator<Step, never> {
  const random = seededRandom(seed)
  for (;;) {
    const deck = shuffled(FAULT_KINDS, random)
    while (deck.length > 0) {
      const first = deck.pop()!
      const kinds = [first]
      // One after the other, and up to three at once.
      for (let more = pick(random, [0, 0, 1, 1, 2]); more > 0 && isHarm(first) && deck.length > 0 && isHarm(deck.at(-1)!); more--)
        kinds.push(deck.pop()!)
      yield { faults: kinds.map((kind) => fault(random, kind)), settles: random.next() < 0.7, pauseMs: between(random, 0, 3_000) }
    }
  }
}

const isHarm = (kind: FaultKind): boolean => !DISASTERS.includes(kind)

/** For times shorter and longer than heartbeat and session time-outs. */
function fault(random: Random, { harm, role }: FaultKind): Fault {
  const length = pick(random, [
    [50, 800],
    [800, 4_000],
    [4_000, 10_000],
  ] as const)
  return {
    harm,
    role,
    draw: random.next(),
    degree: random.next(),
    atMs: between(random, 0, 2_000),
    lengthMs: between(random, length[0], length[1]),
  }
}

export function nameOf({ harm, role }: FaultKind): string {
  return role === 'all' || harm.startsWith(role) ? harm : `${harm} ${role}`
}
export function chosen<T>(from: readonly T[], draw: number): T | undefined {
  return from[Math.floor(draw * from.length)]
}
