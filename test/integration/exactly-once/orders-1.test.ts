import test from 'ava'
import { ordersOf, survives } from '../../support/exactly-once.js'

test('exactly once through all faults, in the orders of seeds 1 to 10', (t) => survives(t, ordersOf(1, 10)))
