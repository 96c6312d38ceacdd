import test from 'ava'
import { connectHandle } from '#ha/zookeeper/connect-handle.js'
import { RC } from '#ha/zookeeper/result-codes.js'
import { FakeClock } from '../../support/fake-clock.js'
import { HandleDouble } from '../../support/handle-double.js'

const WITHIN_MS = 3_000
const authorization = [{ scheme: 'digest', auth: 'flott:secret' }]

function connecting() {
  const handle = new HandleDouble()
  handle.state = 'CONNECTING'
  const clock = new FakeClock()
  return { handle, clock, connected: connectHandle(handle, { clock, withinMs: WITHIN_MS, authorization }) }
}

test('a handle is handed out when it is connected and authorized', async (t) => {
  const { handle, clock, connected } = connecting()
  handle.say('CONNECTED')
  await clock.advance(0)
  handle.answer({ rc: RC.OK, text: 'ok', values: [] })
  t.is(await connected, handle)
})

test('a connection lost before the authorization is answered is no end of the session: there is another try', async (t) => {
  const { handle, clock, connected } = connecting()
  handle.say('CONNECTED')
  await clock.advance(0)
  handle.say('CONNECTING')
  handle.say('DROPPED')
  handle.answer({ rc: RC.CLOSING, text: 'closing', values: [] })
  t.is(await connected, undefined)
})

test('a handle that does not connect in time is given up, unless it has by then', async (t) => {
  const late = connecting()
  await late.clock.advance(WITHIN_MS)
  t.true(late.handle.dropAsked)
  late.handle.say('DROPPED')
  t.is(await late.connected, undefined)
  const faster = connecting()
  await faster.clock.advance(WITHIN_MS)
  faster.handle.say('CONNECTED')
  await faster.clock.advance(0)
  faster.handle.answer({ rc: RC.OK, text: 'ok', values: [] })
  t.is(await faster.connected, faster.handle)
})

test('a session that has ended, and an authorization that is refused, are told, and the handle is closed', async (t) => {
  const expired = connecting()
  expired.handle.say('EXPIRED')
  await t.throwsAsync(expired.connected, { code: 'ZOOKEEPER_SESSION_EXPIRED' })
  const refused = connecting()
  refused.handle.say('CONNECTED')
  await refused.clock.advance(0)
  refused.handle.answer({ rc: RC.AUTH_FAILED, text: 'no', values: [] })
  await t.throwsAsync(refused.connected, { code: 'ZOOKEEPER_NOT_AUTHORIZED' })
  t.deepEqual([expired.handle.closed, refused.handle.closed], [true, true])
})
