import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import test from 'ava'
import { systemClock } from '#core/clock.js'
import { silentLogger } from '#core/logger.js'
import { systemRandom } from '#core/random.js'
import { NativeZooKeeper, type ZooKeeperOptions } from '#ha/zookeeper/native-zookeeper.js'
import { ClusterPaths, type ZooKeeperSession } from '#ha/zookeeper/zookeeper.js'
import { ensureTree, zooKeeperFactStore } from '#ha/zookeeper/zookeeper-fact-store.js'
import { ZooKeeperServer } from '../support/zookeeper-server.js'

const started = ZooKeeperServer.start()
started.catch(() => {}) // Each test tells.
test.after.always(async () => (await started.catch(() => undefined))?.remove())

const client = async (over: Partial<ZooKeeperOptions> = {}) =>
  new NativeZooKeeper(
    // A session outlives the restart of the server, however slow that is.
    { quorum: (await started).connect, sessionTimeoutMs: 60_000, connectionTimeoutMs: 60_000, ...over },
    { clock: systemClock, random: systemRandom, logger: silentLogger },
  )
const owner = { acl: 'creator', authorization: [{ scheme: 'digest', auth: 'flott:secret' }] } as const
const data = Buffer.from('x')

test.serial('what a creator with a password makes, others can neither read nor change nor remove', async (t) => {
  const paths = new ClusterPaths('protected')
  const mine = await (await client(owner)).open()
  await ensureTree(mine, paths)
  const facts = zooKeeperFactStore(mine, paths)
  await facts.setIsr([], undefined)
  const strangers: ZooKeeperSession[] = [
    await (await client()).open(),
    await (await client({ authorization: [{ scheme: 'digest', auth: 'flott:guess' }] })).open(),
  ]
  for (const stranger of strangers) {
    await t.throwsAsync(stranger.get(paths.isr), { code: 'ZOOKEEPER_NOT_AUTHORIZED' })
    await t.throwsAsync(stranger.set(paths.isr, data, -1), { code: 'ZOOKEEPER_NOT_AUTHORIZED' })
    await t.throwsAsync(stranger.remove(paths.isr, -1), { code: 'ZOOKEEPER_NOT_AUTHORIZED' })
    await t.throwsAsync(stranger.create(`${paths.election}/n`, data, 'ephemeral-sequential'), { code: 'ZOOKEEPER_NOT_AUTHORIZED' })
    await stranger.close()
  }
  const again = await (await client(owner)).open()
  t.deepEqual((await zooKeeperFactStore(again, paths).readIsr())?.value, [])
  await again.close()
  await mine.close()
})

for (const [how, code] of [
  ['exit', 7],
  ['throw', 1],
  ['close', 0],
] as const)
  test.serial(`a process that ends by ${how} has its exit code, and no session is left of it`, async (t) => {
    const program = fileURLToPath(new URL('exiting-process.js', import.meta.url))
    const { connect } = await started
    const { status, signal, stderr } = spawnSync(process.execPath, [program, connect, `/ended-by-${how}`, how], { encoding: 'utf8' })
    t.deepEqual([status, signal], [code, null], stderr)
    const session = await (await client()).open()
    await session.sync('/')
    t.is(await session.get(`/ended-by-${how}`), undefined)
    await session.close()
  })

test.serial('an attached session is authorized too, and its watches go on after a reconnection', async (t) => {
  const server = await started
  const paths = new ClusterPaths('blink')
  const session = await (await client(owner)).open()
  await ensureTree(session, paths)
  const states: string[] = []
  session.onState((state) => states.push(state))
  let fire = () => {}
  const fired = new Promise<void>((resolve) => {
    fire = resolve
  })
  await session.get(paths.isr, () => fire())
  await server.stop()
  await t.throwsAsync(
    (async () => {
      for (;;) await session.get(paths.root)
    })(),
    { code: 'ZOOKEEPER_UNAVAILABLE' },
  )
  await server.run()
  await session.whenConnected()
  await fired
  await session.create(paths.isr, data, 'persistent')
  t.deepEqual(states, ['SUSPENDED', 'CONNECTED'])
  await session.close()
})

test.serial('a quorum nobody serves is unavailable, within the time-out', async (t) => {
  const nobody = await client({ quorum: 'no-such-host.invalid:2181,127.0.0.1:1', connectionTimeoutMs: 2_000 })
  await t.throwsAsync(nobody.open(), { code: 'ZOOKEEPER_UNAVAILABLE' })
  await t.throwsAsync((await client({ quorum: 'localhost' })).open(), { code: 'INVALID_CONFIG' })
})
