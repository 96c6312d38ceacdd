import test from 'ava'
import { ordersOf, survives } from '../../support/exactly-once.js'

test('exactly once through all faults, in the orders of seeds 11 to 20', (t) => survives(t, ordersOf(11, 10)))
