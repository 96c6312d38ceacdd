import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import test from 'ava'
import { systemClock } from '#core/clock.js'
import { compareEpochs, type Epoch } from '#core/epoch.js'
import { silentLogger } from '#core/logger.js'
import { systemRandom } from '#core/random.js'
import { releaseSession } from '#ha/zookeeper/release-session.js'
import { ZooKeeperServer } from '../../support/zookeeper-server.js'
import { candidate, SESSION_TIMEOUT_MS } from './candidate-process.js'

test('after kill -9 of the leader its supervisor ends its session, and the standby leads without waiting for the time-out', async (t) => {
  t.timeout(SESSION_TIMEOUT_MS / 2) // Well before the session would expire by itself.
  const server = await ZooKeeperServer.start()
  const directory = await mkdtemp(join(tmpdir(), 'flott-runtime-'))
  const file = join(directory, 'session')
  const child = fork(fileURLToPath(new URL('candidate-process.js', import.meta.url)), [server.connect, file], { execArgv: [] })
  const standby = candidate(server.connect, 'standby')
  t.teardown(async () => {
    child.kill('SIGKILL')
    await standby.stop()
    await server.remove()
    await rm(directory, { recursive: true })
  })
  await once(child, 'message')
  const leads = new Promise<Epoch>((resolve) => void standby.start({ onGranted: async (reign) => resolve(reign.epoch) }))
  while (standby.state.kind !== 'QUEUED') await new Promise((resolve) => setTimeout(resolve, 5))
  child.kill('SIGKILL')
  await once(child, 'exit')
  const deps = { clock: systemClock, random: systemRandom, logger: silentLogger }
  t.is(await releaseSession(file, deps), 'released')
  t.true(compareEpochs(await leads, { incarnation: 0, czxid: '0'.repeat(16) }) > 0)
  t.is(await releaseSession(file, deps), 'nothing')
})

test('a daemon that starts before ZooKeeper closes the session of its predecessor, however long that takes', async (t) => {
  const server = await ZooKeeperServer.start()
  const directory = await mkdtemp(join(tmpdir(), 'flott-runtime-'))
  const file = join(directory, 'session')
  const child = fork(fileURLToPath(new URL('candidate-process.js', import.meta.url)), [server.connect, file], { execArgv: [] })
  t.teardown(async () => {
    child.kill('SIGKILL')
    await server.remove()
    await rm(directory, { recursive: true })
  })
  await once(child, 'message')
  child.kill('SIGKILL')
  await once(child, 'exit')
  await server.stop()
  // At each look at it, more time has gone by than the session lives.
  let looks = 0
  const clock = {
    ...systemClock,
    monotonicMs: () => ++looks * 2 * SESSION_TIMEOUT_MS,
  }
  const deps = { clock, random: systemRandom, logger: silentLogger }
  await t.throwsAsync(releaseSession(file, deps), { message: /ZOOKEEPER_UNAVAILABLE/ })
  const before = looks
  const released = releaseSession(file, deps, { quorum: server.connect })
  while (looks < before + 3) await new Promise((resolve) => setTimeout(resolve, 5))
  await server.run()
  t.is(await released, 'released')
})
