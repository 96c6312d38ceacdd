import test from 'ava'
import { HeartbeatMonitor } from '#rpc/heartbeat.js'
import { FakeClock } from '../../support/fake-clock.js'

function monitored() {
  const clock = new FakeClock()
  const monitor = new HeartbeatMonitor<number>({ clock, intervalMs: 1_000, timeoutMs: 5_000 })
  monitor.start()
  return { clock, monitor }
}

test('a peer that answers lives; payloads arrive once an interval', async (t) => {
  const { clock, monitor } = monitored()
  const payloads: number[] = []
  let asked = 0
  monitor.watch('a', { request: async () => ++asked, onPayload: (p) => payloads.push(p), onTimeout: () => t.fail() })
  await clock.advance(4_500)
  t.deepEqual(payloads, [1, 2, 3, 4])
  await clock.advance(20_000)
})

test('silence is reported once, when the timeout has passed', async (t) => {
  const { clock, monitor } = monitored()
  const silences: number[] = []
  monitor.watch('a', { request: () => new Promise(() => {}), onTimeout: (ms) => silences.push(ms) })
  await clock.advance(4_999)
  t.deepEqual(silences, [])
  await clock.advance(10_000)
  t.deepEqual(silences, [5_000])
  t.is(monitor.silentMs('a'), undefined)
})

test('requests that fail are silence; a sign of life by another way counts', async (t) => {
  const { clock, monitor } = monitored()
  const gone: string[] = []
  monitor.watch('a', { request: () => Promise.reject(new Error('no')), onTimeout: () => gone.push('a') })
  monitor.watch('b', { onTimeout: () => gone.push('b') })
  await clock.advance(4_000)
  monitor.alive('b')
  await clock.advance(3_000)
  t.deepEqual(gone, ['a'])
  t.is(monitor.silentMs('b'), 3_000)
})

test('after a pause of its own of two intervals all deadlines start again', async (t) => {
  const { clock, monitor } = monitored()
  const silences: number[] = []
  monitor.watch('a', { onTimeout: (ms) => silences.push(ms) })
  await clock.advance(3_000)
  clock.sleepThrough(60_000)
  await clock.advance(4_000)
  t.deepEqual(silences, [])
  await clock.advance(5_000)
  t.is(silences.length, 1)
})

test('an answer after the peer was forgotten or replaced is ignored', async (t) => {
  const { clock, monitor } = monitored()
  let answer: (n: number) => void = () => {}
  const request = () =>
    new Promise<number>((resolve) => {
      answer = resolve
    })
  monitor.watch('a', { request, onPayload: () => t.fail(), onTimeout: () => {} })
  await clock.advance(1_000)
  monitor.watch('a', { onTimeout: () => {} })
  await clock.advance(500)
  answer(1)
  await clock.advance(0)
  t.is(monitor.silentMs('a'), 500)
})

test('right after a pause, also before its own timer, it says that it has slept', async (t) => {
  const { clock, monitor } = monitored()
  await clock.advance(2_500)
  t.false(monitor.justSlept)
  clock.sleepThrough(1_600)
  t.true(monitor.justSlept)
  await clock.advance(900)
  t.true(monitor.justSlept)
  await clock.advance(200)
  t.false(monitor.justSlept)
})
