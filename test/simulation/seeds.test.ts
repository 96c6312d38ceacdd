import test from 'ava'
import { RANDOM_FAULTS } from './faults.js'
import { simulate } from './simulation.js'

const COUNT = 1_000
const BLOCK = 100
const OPERATED = 60
const seen = new Set<string>()
let checkpoints = 0

// Serial: programs are evaluated one at a time in a thread, so two histories side by side would touch each other.
for (let from = 1; from <= COUNT; from += BLOCK)
  test.serial(`seeds ${from} to ${from + BLOCK - 1}`, async (t) => {
    t.timeout(300_000)
    for (let seed = from; seed < from + BLOCK; seed++) {
      const result = await simulate({ seed })
      for (const fault of result.faults) seen.add(fault)
      checkpoints += result.checkpoints
      t.is(result.problem, undefined, `npm run -s sim -- --seed ${seed}`)
    }
  })

test.serial(`an operator overrides: seeds 1 to ${OPERATED}`, async (t) => {
  t.timeout(300_000)
  let overrides = 0
  for (let seed = 1; seed <= OPERATED; seed++) {
    const result = await simulate({ seed, operator: true })
    overrides += result.overrides
    t.is(result.problem, undefined, `npm run -s sim -- --seed ${seed} --operator`)
  }
  t.true(overrides > OPERATED / 3)
})

test.serial('every fault happened, and the jobs had checkpoints to lose', (t) => {
  t.deepEqual([...seen].sort(), [...RANDOM_FAULTS].sort())
  t.true(checkpoints > COUNT)
})
