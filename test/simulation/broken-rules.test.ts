import test from 'ava'
import { BROKEN_RULES, type BrokenRule } from './broken-rules.js'
import { type SimulationOptions, simulate } from './simulation.js'

const LOST_OR_DOUBLED = /is committed once too often|lines are lost|is committed with another content/

interface Hunt extends Omit<SimulationOptions, 'seed' | 'broken'> {
  /** What the checker that finds it says. */
  readonly says: RegExp
  /** How many seeds it may take. */
  readonly count: number
}
const UNEVEN_TRIGGER = ['leader dies when not all sources know of a checkpoint']
const CHANGES_OF_LEADER = ['session expires', 'crash']

const FOUND: Readonly<Record<BrokenRule, Hunt>> = {
  'name-before-replication': { says: /names .* which in-sync .* does not have/, count: 20 },
  'acknowledge-before-sync': { says: /names .* which in-sync .* does not have/, count: 20 },
  'write-after-the-session': { says: /./, count: 40, steps: 6, faults: ['pause', 'host sleeps'] },
  'skip-sync': { says: /./, count: 60, steps: 8, faults: ['answers of writes are lost', 'ZooKeeper lags'] },
  'skip-epoch-check': { says: /takes a call of epoch/, count: 40, steps: 10 },
  'name-hosts': { says: /names .* which in-sync .* does not have/, count: 40, steps: 6, faults: ['disk is lost', 'crash'] },
  'delta-since-any-snapshot': {
    says: LOST_OR_DOUBLED,
    count: 200,
    steps: 16,
    shape: 'manyKeys',
    faults: ['disk fails', 'user code throws'],
  },
  'roll-back-at-abort': { says: LOST_OR_DOUBLED, count: 40, steps: 6, faults: ['session expires', 'disk is slow'] },
  'any-barrier': {
    says: LOST_OR_DOUBLED,
    count: 60,
    steps: 16,
    shape: 'manyKeys',
    faults: [...UNEVEN_TRIGGER, 'user code throws', 'messages are late'],
  },
  'repeat-checkpoint-ids': { says: /free again/, count: 20, faults: CHANGES_OF_LEADER },
  'forget-assignments': {
    says: /is committed once too often|lines are lost|not ended|is FAILED/,
    count: 20,
    shape: 'pulled',
    faults: CHANGES_OF_LEADER,
  },
  'file-without-attempt': { says: LOST_OR_DOUBLED, count: 20, faults: ['user code throws'] },
  'acknowledge-before-fsync': { says: /is committed, and lines are lost|lines are lost/, count: 20, faults: ['power fails'] },
  'ignore-sequence-numbers': { says: LOST_OR_DOUBLED, count: 150, steps: 10, shape: 'manyKeys', faults: ['messages are lost'] },
  'hand-out-untouched': { says: LOST_OR_DOUBLED, count: 20, steps: 6, shape: 'edited', faults: ['user code throws'] },
  'end-with-one-marker': { says: /is committed, but checkpoint/, count: 10 },
  'lead-out-of-sync': {
    says: /leads, but its disk is not in the in-sync set/,
    count: 40,
    faults: ['disk is slow', 'crash', 'disk is lost'],
  },
  'lead-with-holes': {
    says: /names .* which in-sync .* does not have/,
    count: 60,
    steps: 6,
    faults: ['a blob is missing at a takeover'],
  },
  'forget-epochs': { says: /answers under epoch/, count: 10 },
  'serve-before-recovery': { says: /no task failed, but|is FAILED/, count: 40, faults: CHANGES_OF_LEADER },
  'commit-before-completion': { says: /is committed, but checkpoint/, count: 10 },
  'forget-restored-state': { says: LOST_OR_DOUBLED, count: 20, faults: ['user code throws'] },
  'trust-young-registrations': { says: /no task failed, but/, count: 60, steps: 6, faults: ['nobody reaches ZooKeeper'] },
  'lose-completed-checkpoint': { says: /completed checkpoint .* is lost/, count: 40 },
  'forget-drains': { says: /nobody knows .* how all of these were drained/, count: 40, steps: 6, faults: ['drain', 'crash'] },
  'keep-incarnation': { says: /the incarnation stays/, count: 20, operator: true },
  'reset-while-members-live': { says: /is replaced while/, count: 40, operator: true },
}

for (const rule of Object.keys(BROKEN_RULES) as BrokenRule[])
  test.serial(`found: ${BROKEN_RULES[rule]}`, async (t) => {
    t.timeout(300_000)
    const { says, count, ...options } = FOUND[rule]
    for (let seed = 1; seed <= count; seed++) {
      const { problem } = await simulate({ ...options, seed, broken: [rule] })
      if (problem === undefined || !says.test(problem)) continue
      t.log(`seed ${seed}: ${problem}`)
      t.is((await simulate({ ...options, seed })).problem, undefined, 'it is the rule, and not the faults')
      return
    }
    t.fail(`${count} seeds did not find it`)
  })
