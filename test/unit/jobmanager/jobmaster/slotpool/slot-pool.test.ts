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
