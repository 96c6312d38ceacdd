import test from 'ava'
import { survives } from '../../support/exactly-once.js'
import { FAULTS } from '../../support/faults.js'

for (const fault of FAULTS)
  test.serial(`exactly once through ${fault}${fault === 'stop-leader' ? ', longer than its session lasts' : ''}`, (t) =>
    survives(t, [{ seed: 1, faults: [fault] }]),
  )

test.serial('exactly once through kill-leader, where a supervisor hands leadership over at once', (t) =>
  survives(t, [{ seed: 2, faults: ['kill-leader', 'kill-leader'] }], { supervised: true }),
)
