import test from 'ava'
import { PollSize } from '#client/connectors/poll-size.js'
import { systemClock } from '#core/clock.js'

function sizes(recordMs: number, polls: number): number[] {
  let nowMs = 0
  const pollSize = new PollSize({ ...systemClock, monotonicMs: () => nowMs })
  return Array.from({ length: polls }, () => {
    let size = 0
    pollSize.poll((records) => {
      size = records
      nowMs += records * recordMs
    })
    return size
  })
}

test('polls grow while they take less than half a millisecond', (t) => {
  t.deepEqual(sizes(0, 5), [16, 32, 64, 64, 64])
})

test('a slow function gets as few records a poll as take a millisecond, one at least', (t) => {
  t.deepEqual(sizes(10, 4), [16, 1, 1, 1])
  t.deepEqual(sizes(0.1, 4), [16, 16, 16, 16])
  t.deepEqual(sizes(0.25, 4), [16, 4, 4, 4])
})
