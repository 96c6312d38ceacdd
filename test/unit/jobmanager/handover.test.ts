import test from 'ava'
import { LeaderListeners } from '#ha/leader-listeners.js'
import { Handover } from '#jobmanager/handover.js'
import type { Leading } from '#jobmanager/job-manager.js'
import type { LeaderInfo } from '#protocol/ha/facts.js'
import { FakeClock } from '../../support/fake-clock.js'

const leader = (name: string, reign: number): LeaderInfo => ({
  jobManagerId: name,
  rpcAddress: `${name}:1`,
  restUrl: `http://${name}:2`,
  epoch: { incarnation: 0, czxid: String(reign).padStart(16, '0') },
})
const LED = {} as Leading

function underTest({ hasSuccessor = true } = {}) {
  const clock = new FakeClock()
  const listeners = new LeaderListeners()
  const known = { connected: true }
  const retrieval = {
    get current() {
      return listeners.current
    },
    get connected() {
      return known.connected
    },
    watch: (onChange: (leader: LeaderInfo | undefined) => void) => listeners.add(onChange),
    start: async () => {},
    stop: async () => {},
  }
  const own: { leading: Leading | undefined; leaving: Leading | undefined } = { leading: LED, leaving: undefined }
  const jobManager = {
    start: async () => {},
    async stop() {
      Object.assign(own, { leading: undefined, leaving: LED })
      listeners.set(undefined)
    },
    leading: () => own.leading,
    leaving: () => own.leaving,
    retire() {
      own.leaving = undefined
    },
  }
  listeners.set(leader('own', 1))
  const handover = new Handover({ jobManager, retrieval, rpcAddress: 'own:1', clock, hasSuccessor: () => hasSuccessor })
  return { clock, handover, listeners, known }
}

test('a leader that stops answers until another one leads, and while it can see that none does', async (t) => {
  const { clock, handover, listeners, known } = underTest()
  t.is(handover.answering(), LED)
  const stopped = handover.stop()
  await clock.advance(100)
  t.is(handover.answering(), LED)
  known.connected = false
  t.is(handover.answering(), undefined)
  known.connected = true
  listeners.set(leader('next', 2))
  t.is(handover.answering(), undefined)
  await clock.advance(0)
  await stopped
})

test('it does not wait for a successor for ever, nor where there is none', async (t) => {
  const { clock, handover } = underTest()
  const stopped = handover.stop()
  await clock.advance(1_000)
  await stopped
  t.is(handover.answering(), undefined)
  await underTest({ hasSuccessor: false }).handover.stop()
})

test('a standby knows for a moment who led before', async (t) => {
  const { clock, handover, listeners } = underTest()
  t.is(handover.predecessor, undefined)
  listeners.set(undefined)
  t.is(handover.predecessor?.jobManagerId, 'own')
  listeners.set(leader('next', 2))
  t.is(handover.predecessor, undefined)
  listeners.set(undefined)
  await clock.advance(999)
  t.is(handover.predecessor?.jobManagerId, 'next')
  await clock.advance(1)
  t.is(handover.predecessor, undefined)
})
