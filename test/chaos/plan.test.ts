import test from 'ava'
import { FAULT_KINDS, nameOf, plan, type Step } from './plan.js'

function first(seed: number, count: number): Step[] {
  const steps: Step[] = []
  for (const step of plan(seed)) {
    if (steps.length === count) break
    steps.push(step)
  }
  return steps
}

test('the same seed chooses the same faults, another one others', (t) => {
  t.deepEqual(first(7, 200), first(7, 200))
  t.notDeepEqual(first(7, 200), first(8, 200))
})

test('each kind of fault comes before any comes again, and disasters come alone', (t) => {
  for (let seed = 1; seed <= 50; seed++) {
    const steps = first(seed, FAULT_KINDS.length)
    const names = steps.flatMap(({ faults }) => faults.map(nameOf))
    t.is(new Set(names.slice(0, FAULT_KINDS.length)).size, FAULT_KINDS.length)
    const crowds = steps.filter(({ faults }) => faults.length > 1).flatMap(({ faults }) => faults)
    t.deepEqual(
      crowds.filter(({ harm }) => ['all-killed', 'all-stopped', 'data-wiped', 'disk-full', 'zookeeper-quorum-lost'].includes(harm)),
      [],
    )
  }
})
