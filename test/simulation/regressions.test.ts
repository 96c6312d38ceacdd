import test from 'ava'
import { REGRESSIONS } from './regressions.js'
import { simulate } from './simulation.js'

for (const { found, ...options } of REGRESSIONS)
  test.serial(`seed ${options.seed}: ${found}`, async (t) => {
    t.is((await simulate(options)).problem, undefined)
  })
