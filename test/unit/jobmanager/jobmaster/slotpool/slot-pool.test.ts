import test from 'ava'
import { SlotPool } from '#jobmanager/jobmaster/slotpool/slot-pool.js'
import { sharedSlotKey } from '#jobmanager/jobmaster/slotpool/slot-sharing.js'

const shared = (index: number) => ({ key: sharedSlotKey('default', index), group: 'default', index })
const slot = (allocationId: string, taskManagerId: string) => ({ allocationId, taskManagerId, slotIndex: 0, host: 'h', dataPort: 1 })
function underTest() {
  let ids = 0
  const pool = new SlotPool()
  const acquire = (...indexes: readonly number[]) => pool.acquire(indexes.map(shared), () => `a${++ids}`)
  return { pool, acquire }
}

test('what is held or asked for is not asked for again; what nobody waits for any more goes back', (t) => {
  const { pool, acquire } = underTest()
  t.deepEqual(acquire(0, 1), [
    { allocationId: 'a1', group: 'default' },
    { allocationId: 'a2', group: 'default' },
  ])
  t.deepEqual(acquire(0, 1), [])
  t.true(pool.offer(slot('a1', 'tm-1')))
  t.false(pool.offer(slot('a1', 'tm-1')))
  t.false(pool.offer(slot('unknown', 'tm-1')))
  t.false(pool.holdsAll([shared(0), shared(1)]))
  pool.withdrawRequests()
  t.false(pool.offer(slot('a2', 'tm-1')))
  t.deepEqual(
    pool.all().map(({ allocationId }) => allocationId),
    ['a1'],
  )
})

test('a slot that was lost is asked for where it was, also one of an earlier leader', (t) => {
  const { pool, acquire } = underTest()
  acquire(0)
  pool.offer(slot('a1', 'tm-1'))
  t.true(pool.lose('a1'))
  t.false(pool.lose('a1'))
  pool.ranOn(shared(1).key, 'tm-2')
  pool.adopt(shared(2).key, slot('adopted', 'tm-3'))
  t.true(pool.lose('adopted'))
  t.deepEqual(acquire(0, 1, 2, 3), [
    { allocationId: 'a2', group: 'default', preferred: 'tm-1' },
    { allocationId: 'a3', group: 'default', preferred: 'tm-2' },
    { allocationId: 'a4', group: 'default', preferred: 'tm-3' },
    { allocationId: 'a5', group: 'default' },
  ])
  pool.offer(slot('a2', 'tm-4'))
  pool.lose('a2')
  t.is(acquire(0)[0]?.preferred, 'tm-4')
})

const tm = (...ids: readonly string[]) => new Set(ids)
function replacing() {
  const { pool, acquire } = underTest()
  acquire(0, 1)
  pool.offer(slot('a1', 'tm-1'))
  pool.offer(slot('a2', 'tm-1'))
  let ids = 0
  pool.acquireReplacements([shared(0), shared(1)], () => `r${++ids}`)
  return { pool, acquire }
}

test('a replacement is held once it replaces; the old slot is retired until it is given back', (t) => {
  const { pool } = replacing()
  t.deepEqual(pool.keysOn(tm('tm-1')), ['default/0', 'default/1'])
  t.deepEqual(
    pool.acquireReplacements([shared(0)], () => 'again'),
    [],
  )
  t.is(pool.requestedCount, 0)
  t.true(pool.offer(slot('r1', 'tm-2')))
  t.true(pool.hasReplacement('default/0'))
  t.false(pool.hasReplacement('default/1'))
  pool.replace(['default/0', 'default/1'])
  t.deepEqual(
    pool.all().map(({ allocationId }) => allocationId),
    ['r1', 'a2'],
  )
  t.deepEqual(
    pool.retired.map(({ allocationId }) => allocationId),
    ['a1'],
  )
  t.deepEqual(
    pool.slotsOn('tm-1').map(({ allocationId }) => allocationId),
    ['a2', 'a1'],
  )
  pool.lose('a1')
  t.deepEqual(pool.retired, [])
})

test('a slot that is lost while it is replaced: what was asked for or granted serves the restart', (t) => {
  const { pool, acquire } = replacing()
  pool.offer(slot('r1', 'tm-2'))
  pool.lose('a1')
  pool.lose('a2')
  t.false(pool.holdsAll([shared(0)]))
  t.deepEqual(acquire(0, 1), [])
  t.true(pool.holdsAll([shared(0)]))
  t.is(pool.requestedCount, 1)
  pool.offer(slot('r2', 'tm-3'))
  t.true(pool.holdsAll([shared(0), shared(1)]))
  t.deepEqual(pool.retired, [])
})

test('a replacement that is lost, or on a TaskManager that is to go itself, is none', (t) => {
  const { pool } = replacing()
  pool.offer(slot('r1', 'tm-2'))
  pool.offer(slot('r2', 'tm-3'))
  pool.lose('r1')
  t.deepEqual(pool.dropReplacements(tm('tm-3')), [slot('r2', 'tm-3')])
  t.false(pool.hasReplacement('default/0'))
  t.false(pool.hasReplacement('default/1'))
  t.deepEqual(
    pool.acquireReplacements([shared(0), shared(1)], () => 'new').map(({ group }) => group),
    ['default', 'default'],
  )
})
