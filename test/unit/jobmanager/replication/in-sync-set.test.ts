import test from 'ava'
import { between, pick, seededRandom } from '#core/random.js'
import {
  enough,
  type InSyncSet,
  type InSyncSetEffect,
  type InSyncSetEvent,
  inSyncSet,
  isMember,
  mustHold,
  step,
} from '#jobmanager/replication/in-sync-set.js'
import type { Replica } from '#protocol/ha/facts.js'

const replica = (id: string, address = `${id}:1`): Replica => ({ jobManagerId: id, diskId: id, address })
const [a, b, c] = ['a', 'b', 'c'].map((id) => replica(id)) as [Replica, Replica, Replica]
const alone = (minInSync = 1) => inSyncSet('a', minInSync, [a], 7)
const pair = (minInSync = 1) => inSyncSet('a', minInSync, [a, b], 7)
const run = (set: InSyncSet, ...events: InSyncSetEvent[]): { set: InSyncSet; effects: readonly InSyncSetEffect[] } =>
  events.reduce<{ set: InSyncSet; effects: readonly InSyncSetEffect[] }>((at, event) => step(at.set, event), { set, effects: [] })
const joined = (r: Replica): InSyncSetEvent[] => [
  { kind: 'join-requested', replica: r },
  { kind: 'join-completed', diskId: r.diskId },
]
const holders = (set: InSyncSet) =>
  mustHold(set)
    .map((r) => r.diskId)
    .sort()

test('a joiner must hold new blobs at once, and is a member only when that is confirmed', (t) => {
  const joining = run(alone(), { kind: 'join-requested', replica: b })
  t.deepEqual(holders(joining.set), ['a', 'b'])
  t.false(isMember(joining.set, 'b'))
  const ready = step(joining.set, { kind: 'join-completed', diskId: 'b' })
  t.deepEqual(ready.effects, [{ kind: 'set-isr', replicas: [a, b], version: 7 }])
  t.false(isMember(ready.set, 'b'))
  const confirmed = step(ready.set, { kind: 'change-confirmed', version: 8 })
  t.true(isMember(confirmed.set, 'b'))
  t.deepEqual(confirmed.set, inSyncSet('a', 1, [a, b], 8))
})

test('a member that fails must hold blobs until its removal is confirmed', (t) => {
  const failed = run(pair(), { kind: 'replica-failed', diskId: 'b' })
  t.deepEqual(failed.effects, [{ kind: 'set-isr', replicas: [a], version: 7 }])
  t.deepEqual(holders(failed.set), ['a', 'b'])
  const confirmed = step(failed.set, { kind: 'change-confirmed', version: 8 })
  t.deepEqual(holders(confirmed.set), ['a'])
})

test('a joiner that fails is dropped without a change of isr', (t) => {
  const { set, effects } = run(alone(), { kind: 'join-requested', replica: b }, { kind: 'replica-failed', diskId: 'b' })
  t.deepEqual(effects, [{ kind: 'changed' }])
  t.deepEqual(set, alone())
  t.deepEqual(run(set, { kind: 'join-completed', diskId: 'b' }), { set, effects: [] })
})

test('who fails while it is being made a member is removed by the next change', (t) => {
  const coming = run(alone(), ...joined(b), { kind: 'replica-failed', diskId: 'b' })
  t.deepEqual(holders(coming.set), ['a', 'b'], 'isr may name it already')
  const confirmed = step(coming.set, { kind: 'change-confirmed', version: 8 })
  t.deepEqual(confirmed.effects, [{ kind: 'changed' }, { kind: 'set-isr', replicas: [a], version: 8 }])
  t.deepEqual(holders(confirmed.set), ['a', 'b'])
  t.deepEqual(holders(step(confirmed.set, { kind: 'change-confirmed', version: 9 }).set), ['a'])
})

test('one change at a time: what comes up meanwhile goes with the next', (t) => {
  const busy = run(pair(), { kind: 'replica-failed', diskId: 'b' }, ...joined(c))
  t.deepEqual(busy.effects, [])
  t.deepEqual(step(busy.set, { kind: 'change-confirmed', version: 8 }).effects, [
    { kind: 'changed' },
    { kind: 'set-isr', replicas: [a, c], version: 8 },
  ])
})

test('below the floor nobody is removed, and nothing counts as stored', (t) => {
  const { set, effects } = run(pair(2), { kind: 'replica-failed', diskId: 'b' })
  t.deepEqual(effects, [{ kind: 'changed' }])
  t.false(enough(set))
  const replaced = run(set, ...joined(c))
  t.deepEqual(replaced.effects, [{ kind: 'set-isr', replicas: [a, c], version: 7 }])
  t.true(enough(step(replaced.set, { kind: 'change-confirmed', version: 8 }).set))
})

test('a member that joins again changes nothing; at another address it joins anew', (t) => {
  t.deepEqual(run(pair(), { kind: 'join-requested', replica: b }), { set: pair(), effects: [] })
  const moved = replica('b', 'b:2')
  const { set, effects } = run(pair(), { kind: 'join-requested', replica: moved })
  t.deepEqual(effects, [{ kind: 'changed' }, { kind: 'set-isr', replicas: [a], version: 7 }])
  t.deepEqual(mustHold(set), [moved, a])
  const back = run(set, { kind: 'change-confirmed', version: 8 }, { kind: 'join-completed', diskId: 'b' })
  t.deepEqual(back.effects, [{ kind: 'set-isr', replicas: [a, moved], version: 8 }])
})

test('our own disk never leaves by failing, and late or repeated events change nothing', (t) => {
  t.deepEqual(run(pair(), { kind: 'replica-failed', diskId: 'a' }), { set: pair(), effects: [] })
  t.deepEqual(run(pair(), { kind: 'replica-failed', diskId: 'x' }), { set: pair(), effects: [] })
  t.deepEqual(run(pair(), { kind: 'change-confirmed', version: 8 }), { set: pair(), effects: [] })
  const failed = run(pair(), { kind: 'replica-failed', diskId: 'b' })
  t.deepEqual(step(failed.set, { kind: 'replica-failed', diskId: 'b' }).effects, [])
})

test('in every history: who may be in isr must hold, one change is under way, and self stays', (t) => {
  for (let seed = 1; seed <= 200; seed++) {
    const random = seededRandom(seed)
    let set = inSyncSet('a', 1, [a], 0)
    let isr: readonly Replica[] = [a]
    let pending: readonly Replica[] | undefined
    for (let n = 0; n < 60; n++) {
      const diskId = pick(random, ['a', 'b', 'c', 'd'])
      const events: InSyncSetEvent[] = [
        { kind: 'join-requested', replica: replica(diskId, `${diskId}:${between(random, 1, 3)}`) },
        { kind: 'join-completed', diskId },
        { kind: 'replica-failed', diskId },
        ...(pending ? [{ kind: 'change-confirmed' as const, version: set.version + 1 }] : []),
      ]
      const event = pick(random, events)
      if (event.kind === 'change-confirmed') {
        isr = pending!
        pending = undefined
      }
      const next = step(set, event)
      set = next.set
      const broken: string[] = []
      for (const effect of next.effects) {
        if (effect.kind !== 'set-isr') continue
        if (pending) broken.push('two changes at a time')
        if (effect.version !== set.version) broken.push('version')
        pending = effect.replicas
      }
      const held = holders(set)
      for (const r of [...isr, ...(pending ?? [])]) if (!held.includes(r.diskId)) broken.push(`${r.diskId} may be in isr and need not hold`)
      if (!(pending ?? isr).some((r) => r.diskId === 'a')) broken.push('self is out')
      if (set.members !== isr && JSON.stringify(set.members) !== JSON.stringify(isr)) broken.push('members differ from isr')
      if (broken.length > 0) t.deepEqual(broken, [], `seed ${seed}, step ${n}`)
    }
  }
  t.pass()
})
