import test from 'ava'
import { FAULTS } from './faults.js'
import { simulate } from './simulation.js'

const COUNT = 1_000

test(`${COUNT} seeds`, async (t) => {
  t.timeout(600_000)
  const seen = new Set<string>()
  let checkpoints = 0
  for (let seed = 1; seed <= COUNT; seed++) {
    const result = await simulate({ seed })
    for (const fault of result.faults) seen.add(fault)
    checkpoints += result.checkpoints
    t.is(result.problem, undefined, `npm run -s sim -- --seed ${seed}`)
  }
  t.deepEqual([...seen].sort(), Object.keys(FAULTS).sort(), 'every fault happened')
  t.true(checkpoints > COUNT, 'the jobs had checkpoints to lose')
})
