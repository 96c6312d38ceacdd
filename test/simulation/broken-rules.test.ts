import test from 'ava'
import { BROKEN_RULES, type BrokenRule } from './broken-rules.js'
import { simulate } from './simulation.js'

/** What the checker that finds it says, and the seeds that it may take. */
const FOUND: Readonly<Record<BrokenRule, { readonly says: RegExp; readonly from: number; readonly count: number }>> = {
  'skip-epoch-check': { says: /takes a call of epoch/, from: 50, count: 50 },
  'name-before-replication': { says: /names .* which in-sync .* does not have/, from: 1, count: 20 },
  'commit-before-completion': { says: /is committed, but checkpoint/, from: 1, count: 10 },
  'forget-restored-state': { says: /is committed once too often|lines are lost/, from: 1, count: 20 },
  'lose-completed-checkpoint': { says: /completed checkpoint .* is lost/, from: 1, count: 40 },
}

for (const rule of Object.keys(BROKEN_RULES) as BrokenRule[])
  test(`found: ${BROKEN_RULES[rule]}`, async (t) => {
    const { says, from, count } = FOUND[rule]
    for (let seed = from; seed < from + count; seed++) {
      const { problem } = await simulate({ seed, broken: [rule] })
      if (problem === undefined || !says.test(problem)) continue
      t.log(`seed ${seed}: ${problem}`)
      return t.pass()
    }
    t.fail(`${count} seeds did not find it`)
  })
