import test from 'ava'
import { simulate } from './simulation.js'

test('one seed is one history, byte for byte', async (t) => {
  for (const options of [{ seed: 11 }, { seed: 12 }, { seed: 13 }, { seed: 14 }, { seed: 3, operator: true }]) {
    const first = await simulate(options)
    const again = await simulate(options)
    t.deepEqual(again.log, first.log, `seed ${options.seed}`)
  }
  t.notDeepEqual((await simulate({ seed: 11 })).log, (await simulate({ seed: 12 })).log)
})
