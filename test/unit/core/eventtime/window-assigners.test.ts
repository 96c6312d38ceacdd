import test from 'ava'
import { windowStart, windows } from '#core/eventtime/window-assigners.js'

test('tumbling windows tile time, also before 1970 and with an offset', (t) => {
  t.is(windowStart(0, 0, 10), 0)
  t.is(windowStart(9, 0, 10), 0)
  t.is(windowStart(-1, 0, 10), -10)
  t.is(windowStart(2, 3, 10), -7)
  t.deepEqual(windows.tumbling('1 s').assignWindows(undefined, 1_999), [{ start: 1_000, end: 2_000, maxTimestamp: 1_999 }])
})

test('sliding windows: each that holds the time stamp', (t) => {
  const starts = windows
    .sliding(10, 4)
    .assignWindows(undefined, 9)
    .map((w) => w.start)
  t.deepEqual(starts, [8, 4, 0])
})

test('sizes and offsets are checked where they are written', (t) => {
  t.throws(() => windows.tumbling(0), { code: 'INVALID_ARGUMENT' })
  t.throws(() => windows.tumbling(10, { offset: 10 }), { code: 'INVALID_ARGUMENT' })
  t.throws(() => windows.count(0), { code: 'INVALID_ARGUMENT' })
})
