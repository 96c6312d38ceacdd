import test from 'ava'
import { distribution } from '#jobmanager/rest/statistics.js'

test('quantiles lie between two values in proportion, and within them', (t) => {
  const { min, max, avg, sum, quantile } = distribution([40, 10, 30, 20])
  t.deepEqual([min, max, avg, sum], [10, 40, 25, 100])
  t.deepEqual([quantile(0.25), quantile(0.5), quantile(0.75), quantile(0.95)], [12.5, 25, 37.5, 40])
  t.is(distribution([7]).quantile(0.25), 7)
})

test('of no values all is 0', (t) => {
  const { min, max, avg, sum, quantile } = distribution([])
  t.deepEqual([min, max, avg, sum, quantile(0.5)], [0, 0, 0, 0, 0])
})
