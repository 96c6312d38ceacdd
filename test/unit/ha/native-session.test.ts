/** A session over doubles of the library's handles. What real servers do is in test/contract. */
import test from 'ava'
import type { Answer } from '#ha/zookeeper/client-protocol.js'
import { NativeSession } from '#ha/zookeeper/native-session.js'
import { RC } from '#ha/zookeeper/result-codes.js'
import { FakeClock } from '../../support/fake-clock.js'
import { HandleDouble, SESSION } from '../../support/handle-double.js'

const DROPPED: Answer = { rc: RC.CLOSING, text: 'closing', values: [] }

function session(handle = new HandleDouble()) {
  const clock = new FakeClock()
  const reattached: HandleDouble[] = []
  const made = new NativeSession(handle, {
    clock,
    acl: 'open',
    reconnectWaitMs: 100,
    reattach: async () => {
      const next = new HandleDouble()
      reattached.push(next)
      return next
    },
  })
  const states: string[] = []
  made.onState((state) => states.push(state))
  return { clock, handle, reattached, states, session: made }
}
const node = (text: string): Answer => ({
  rc: RC.OK,
  text: 'ok',
  values: [{ czxid: 1, version: 2, ephemeralOwner: '0' }, new TextEncoder().encode(text)],
})

test('a handle that loses its connection suspends the session; one that was faster resumes it', (t) => {
  const { handle, reattached, states } = session()
  handle.say('CONNECTING')
  handle.say('CONNECTED')
  t.deepEqual([states, reattached.length], [['SUSPENDED', 'CONNECTED'], 0])
})

test('a handle that was dropped is replaced, and what was watched is told, since it may have changed', async (t) => {
  const { clock, handle, reattached, states, session: made } = session()
  let changes = 0
  const read = made.get('/node', () => changes++)
  handle.answer(node('x'))
  t.is((await read)!.data.toString(), 'x')
  handle.say('CONNECTING')
  handle.say('DROPPED')
  await clock.advance(0)
  t.deepEqual([states, reattached.length, changes], [['SUSPENDED', 'CONNECTED'], 1, 1])
  handle.change!() // Late.
  t.is(changes, 1)
})

test('a call whose connection is dropped may have been applied: that is no end of the session', async (t) => {
  const { handle, session: made } = session()
  const call = made.sync('/')
  handle.answer(DROPPED)
  await t.throwsAsync(call, { message: /ZOOKEEPER_UNAVAILABLE/ })
  const late = made.sync('/')
  handle.say('EXPIRED')
  handle.answer(DROPPED)
  await t.throwsAsync(late, { message: /ZOOKEEPER_SESSION_EXPIRED/ })
  t.is(made.state, 'LOST')
})

test('a call that nobody answers fails after the time-out of the session', async (t) => {
  const { clock, session: made } = session()
  const failed = t.throwsAsync(made.sync('/'), { message: /ZOOKEEPER_UNAVAILABLE.*4000 ms/ })
  await clock.advance(SESSION.timeoutMs)
  await failed
})

test('a change that is watched is told once', async (t) => {
  const { handle, session: made } = session()
  let changes = 0
  const read = made.get('/node', () => changes++)
  handle.answer(node('x'))
  t.is((await read)!.version, 2)
  handle.change!()
  handle.change!()
  t.is(changes, 1)
})

test('a handle that was dropped before anybody listened is replaced', async (t) => {
  const dropped = new HandleDouble()
  dropped.state = 'DROPPED'
  const { clock, reattached, session: made } = session(dropped)
  await clock.advance(0)
  t.deepEqual([made.state, reattached.length], ['CONNECTED', 1])
})

test('a session that is closed closes its handle, also one that was on its way', async (t) => {
  const { clock, handle, reattached, states, session: made } = session()
  handle.say('CONNECTING')
  handle.say('DROPPED')
  await made.close()
  await clock.advance(0)
  t.deepEqual([states.at(-1), reattached.map(({ closed }) => closed)], ['LOST', [true]])
})
