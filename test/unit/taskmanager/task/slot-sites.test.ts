import test from 'ava'
import { describeChain, describeSite, lastSite, SlotSites } from '#taskmanager/task/slot-sites.js'
import { sketchJob } from '../../../support/slot-job.js'

const map = (uid: string) => ({ uid, kind: 'map' as const, f: (n: number) => n })
const { jobGraph } = sketchJob(
  [
    { name: 'first', operators: [map('a'), map('b')] },
    { name: 'second', parallelism: 3, operators: [map('c')] },
  ],
  [],
)

test('what was entered last is seen from outside', (t) => {
  const sites = new SlotSites()
  t.is(lastSite(sites.memory), undefined)
  const [first, second] = [sites.site(0, 0), sites.site(1, 2)]
  t.is(lastSite(sites.memory), undefined)
  first.enter()
  first.operator = 1
  t.deepEqual(lastSite(sites.memory), { vertex: 0, subtask: 0, operator: 1 })
  second.enter()
  t.deepEqual(lastSite(sites.memory), { vertex: 1, subtask: 2, operator: 0 })
  first.enter()
  t.deepEqual(lastSite(sites.memory), { vertex: 0, subtask: 0, operator: 1 })
  sites.leave()
  t.is(lastSite(sites.memory), undefined)
})

test('the next attempt of a subtask begins at its head; more tasks than there is room for go without operators', (t) => {
  const sites = new SlotSites()
  sites.site(0, 0).operator = 1
  for (let attempt = 0; attempt < 5_000; attempt++) t.is(sites.site(0, 0).operator, 0)
  for (let subtask = 0; subtask < 2_000; subtask++) {
    const site = sites.site(1, subtask)
    site.enter()
    site.operator = 7
    t.is(site.operator, 7)
    t.deepEqual(lastSite(sites.memory), { vertex: 1, subtask, operator: subtask < 1_020 ? 7 : undefined })
  }
  t.is(sites.site(0, 0).operator, 0)
})

test('it is described by operator, line, vertex and subtask', (t) => {
  const a = "operator 'a' (uid 'a', declared at job.ts:1:1)"
  const b = "operator 'b' (uid 'b', declared at job.ts:2:1)"
  t.is(describeSite(jobGraph, { vertex: 0, subtask: 0, operator: 1 }), `${b} of vertex 'first', subtask 0 of 1`)
  t.is(describeSite(jobGraph, { vertex: 1, subtask: 2, operator: undefined }), "vertex 'second', subtask 2 of 3")
  t.is(
    describeChain(jobGraph, { vertex: 0, subtask: 0, operator: 0 }),
    `${a} of vertex 'first', subtask 0 of 1, which is chained with ${b}`,
  )
})
