import test from 'ava'
import { simulate } from './simulation.js'

test('one seed is one history, byte for byte', async (t) => {
  for (const seed of [11, 12, 13, 14]) {
    const first = await simulate({ seed })
    const again = await simulate({ seed })
    t.deepEqual(again.log, first.log, `seed ${seed}`)
  }
  t.notDeepEqual((await simulate({ seed: 11 })).log, (await simulate({ seed: 12 })).log)
})
