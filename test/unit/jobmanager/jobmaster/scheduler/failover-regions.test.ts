import test from 'ava'
import { failoverRegions } from '#jobmanager/jobmaster/scheduler/failover-regions.js'
import { sharedSlots } from '#jobmanager/jobmaster/slotpool/slot-sharing.js'
import { edge, graph, vertex } from '../../../../support/job-graphs.js'

const sizes = (g: ReturnType<typeof graph>) => failoverRegions(g).map((region) => region.length)

test('an all-to-all edge makes one region', (t) => {
  t.deepEqual(sizes(graph([vertex('a', 3), vertex('b', 2)], [edge('a', 'b', 'hash')])), [5])
})
test('forward edges make one region a subtask', (t) => {
  const regions = failoverRegions(graph([vertex('a', 3), vertex('b', 3)], [edge('a', 'b', 'forward')]))
  t.deepEqual(
    regions.map((region) => region.map((subtask) => subtask.subtaskIndex)),
    [
      [0, 0],
      [1, 1],
      [2, 2],
    ],
  )
})
test('rescale links what it must, and parts without edges are regions of their own', (t) => {
  t.deepEqual(sizes(graph([vertex('a', 2), vertex('b', 4)], [edge('a', 'b', 'rescale')])), [3, 3])
  t.deepEqual(sizes(graph([vertex('a', 2), vertex('b', 1)], [])), [1, 1, 1])
})
test('a slot-sharing group needs as many slots as its widest vertex', (t) => {
  const slots = sharedSlots(graph([vertex('a', 2), vertex('b', 4), vertex('c', 1, { group: 'other' })], []))
  t.deepEqual(
    slots.map((slot) => slot.key),
    ['default/0', 'default/1', 'default/2', 'default/3', 'other/0'],
  )
})
