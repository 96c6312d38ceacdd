/** What a JobManager finds at its start: ZooKeeper hosts that are dead, a data directory that is taken, is none, is read-only or full. */
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { configOf } from '#core/config/resolve-config.js'
import { silentLogger } from '#core/logger.js'
import { startJobManager } from '#jobmanager/start-job-manager.js'
import { startDaemon } from '../../support/command.js'
import { freePort } from '../../support/free-port.js'
import { ProcessCluster } from '../../support/process-cluster.js'
import { ZooKeeperServer } from '../../support/zookeeper-server.js'

const directory = mkdtempSync(join(tmpdir(), 'flott-start-up-'))
test.before(() => writeFileSync(join(directory, 'config.yaml'), 'rest.bind-port: 0\njobmanager.rpc.port: 0\n'))
test.after.always(() => rmSync(directory, { recursive: true, force: true }))

const start = (dataDirectory: string) => startDaemon('jobmanager', ['--configDir', directory, '-D', `jobmanager.data.dir=${dataDirectory}`])

test.serial('dead and unresolvable hosts in high-availability.zookeeper.quorum are no obstacle', async (t) => {
  const zookeeper = await ZooKeeperServer.start()
  t.teardown(() => zookeeper.remove())
  const dead = `127.0.0.1:${await freePort()}`
  const quorum = `no-such-host.invalid:2181,${dead},${zookeeper.connect}`
  const cluster = await ProcessCluster.start({ jobManagers: 1, taskManagers: 1, slots: 1, zookeeper: quorum })
  t.teardown(() => cluster.stop())
  t.is((await cluster.overview()).taskmanagers, 1)
  const { code, stderr } = await cluster.flott(['list'])
  t.is(code, 0, stderr)
})

test.serial('a second JobManager on one data directory: DATA_DIRECTORY_LOCKED, exit code 1; the first one lives', async (t) => {
  const cluster = await ProcessCluster.start({ jobManagers: 1, taskManagers: 0, slots: 1 })
  t.teardown(() => cluster.stop())
  const taken = join(cluster.directory, 'jobmanager-0', 'data')
  const { code, stderr } = await start(taken).result
  t.is(code, 1, stderr)
  t.regex(stderr, /DATA_DIRECTORY_LOCKED/)
  t.true(stderr.includes(taken))
  t.is((await cluster.overview()).taskmanagers, 0)
  const entries = await cluster.rest<readonly { readonly key: string; readonly value: string }[]>('/jobmanager/config')
  const settingOf = (key: string) => entries.find((entry) => entry.key === key)?.value
  t.deepEqual([settingOf('jobmanager.data.dir'), settingOf('taskmanager.rpc.port'), settingOf('rest.retry.delay')], [taken, '0', '3 s'])
})

test.serial('a file in place of the data directory: DATA_DIRECTORY_UNUSABLE, exit code 1', async (t) => {
  const file = join(directory, 'file')
  writeFileSync(file, 'not a directory')
  const { code, stderr } = await start(file).result
  t.is(code, 1, stderr)
  t.regex(stderr, /DATA_DIRECTORY_UNUSABLE/)
  t.true(stderr.includes(file))
})

/** A file system of its own there, until the test ends; false where that is not permitted. */
function mounted(path: string, options: string, t: { teardown(undo: () => void): void }): boolean {
  mkdirSync(path)
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', path], { stdio: 'ignore' })
  } catch {
    return false
  }
  t.teardown(() => void execFileSync('umount', ['-l', path]))
  return true
}

test.serial('a read-only data directory: DATA_DIRECTORY_UNUSABLE, exit code 1', async (t) => {
  const path = join(directory, 'read-only')
  if (!mounted(path, 'ro', t)) return t.pass('mounting is not permitted here')
  const { code, stderr } = await start(join(path, 'data')).result
  t.is(code, 1, stderr)
  t.regex(stderr, /DATA_DIRECTORY_UNUSABLE/)
  t.true(stderr.includes(path))
})

test.serial('a full disk: a clear code, exit code 1', async (t) => {
  const path = join(directory, 'full')
  if (!mounted(path, 'size=64k', t)) return t.pass('mounting is not permitted here')
  try {
    writeFileSync(join(path, 'fill'), Buffer.alloc(128 * 1024))
  } catch {
    // It is full now.
  }
  const { code, stderr } = await start(join(path, 'data')).result
  t.is(code, 1, stderr)
  t.regex(stderr, /STORAGE_FULL/)
})

test.serial('a start that fails late leaves neither disk nor ports taken', async (t) => {
  const other = createServer().listen(0, '127.0.0.1')
  await once(other, 'listening')
  const settings = {
    'jobmanager.data.dir': join(directory, 'failing'),
    'jobmanager.rpc.port': String(await freePort()),
    'jobmanager.bind-host': '127.0.0.1',
    'rest.bind-address': '127.0.0.1',
    'rest.bind-port': String((other.address() as AddressInfo).port),
    'io.tmp.dirs': directory,
  }
  const context = {
    ...configOf(settings, 'test'),
    name: 'jobmanager',
    configDir: '',
    logger: silentLogger,
    ready() {},
    drain() {},
    finish() {},
    fatal: (error: unknown) => t.fail(String(error)),
  }
  await t.throwsAsync(startJobManager(context), { code: 'STARTUP_FAILED', message: /rest\.bind-port/ })
  other.close()
  const running = await startJobManager(context)
  t.true(running.rpcAddress.endsWith(settings['jobmanager.rpc.port']))
  await running.stop('')
})
