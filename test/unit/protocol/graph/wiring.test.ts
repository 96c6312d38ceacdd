import test from 'ava'
import type { Partitioner } from '#protocol/graph/job-graph.js'
import { consumersOf, isAllToAll, producersOf } from '#protocol/graph/wiring.js'
import { edge } from '../../../support/job-graphs.js'

const upTo = (count: number) => Array.from({ length: count }, (_, i) => i)
const pairs = upTo(9).flatMap((p) => upTo(9).map((c) => [p + 1, c + 1] as const))

for (const partitioner of ['forward', 'rescale', 'hash', 'rebalance', 'broadcast', 'global'] satisfies Partitioner[])
  test(`${partitioner}: both ends agree on their channels, and each subtask has one`, (t) => {
    const link = edge('a', 'b', partitioner)
    for (const [producers, consumers] of pairs) {
      const down = upTo(producers).flatMap((p) => consumersOf(link, producers, consumers, p).map((c) => `${p} ${c}`))
      const up = upTo(consumers).flatMap((c) => producersOf(link, producers, consumers, c).map((p) => `${p} ${c}`))
      t.deepEqual([...down].sort(), [...up].sort(), `${producers} to ${consumers}`)
      t.is(new Set(down.map((channel) => channel.split(' ')[0])).size, producers)
      t.is(new Set(up.map((channel) => channel.split(' ')[1])).size, consumers)
      if (isAllToAll(link, producers, consumers)) t.is(down.length, producers * consumers)
    }
  })

test('rescale gives each subtask of the larger side one peer, in order and evenly', (t) => {
  const link = edge('a', 'b', 'rescale')
  for (const [producers, consumers] of pairs) {
    const larger = Math.max(producers, consumers)
    const peers = upTo(producers).map((p) => consumersOf(link, producers, consumers, p))
    t.is(producers >= consumers ? peers.length : peers.flat().length, larger)
    t.deepEqual(
      peers.flat(),
      [...peers.flat()].sort((a, b) => a - b),
    )
    const counts =
      producers >= consumers ? upTo(consumers).map((c) => producersOf(link, producers, consumers, c).length) : peers.map((p) => p.length)
    t.true(Math.max(...counts) - Math.min(...counts) <= 1)
  }
})
