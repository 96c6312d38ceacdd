import test from 'ava'
import { BROKEN_RULES, type BrokenRule } from './broken-rules.js'
import { simulate } from './simulation.js'

/** What the checker that finds it says, and how many seeds it may take. */
const FOUND: Readonly<Record<BrokenRule, { readonly says: RegExp; readonly count: number; readonly steps?: number }>> = {
  'skip-epoch-check': { says: /takes a call of epoch/, count: 40, steps: 10 },
  'name-before-replication': { says: /names .* which in-sync .* does not have/, count: 20 },
  'commit-before-completion': { says: /is committed, but checkpoint/, count: 10 },
  'forget-restored-state': { says: /is committed once too often|lines are lost/, count: 20 },
  'lose-completed-checkpoint': { says: /completed checkpoint .* is lost/, count: 40 },
}

for (const rule of Object.keys(BROKEN_RULES) as BrokenRule[])
  test.serial(`found: ${BROKEN_RULES[rule]}`, async (t) => {
    const { says, count, ...options } = FOUND[rule]
    for (let seed = 1; seed <= count; seed++) {
      const { problem } = await simulate({ ...options, seed, broken: [rule] })
      if (problem === undefined || !says.test(problem)) continue
      t.log(`seed ${seed}: ${problem}`)
      return t.pass()
    }
    t.fail(`${count} seeds did not find it`)
  })
