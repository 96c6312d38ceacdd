/** A job that its leaders die of: two supervised JobManagers on a real ZooKeeper, and a healthy job beside it. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { committedLines, mistakesOf, NO_MISTAKES } from '../../support/numbered-counts.js'
import { type Daemon, ProcessCluster } from '../../support/process-cluster.js'
import { ZooKeeperServer } from '../../support/zookeeper-server.js'

const KEYS = 10

test('a job that ends each of its leaders is parked; the job beside it loses nothing, and both run once the poison is gone', async (t) => {
  t.timeout(300_000)
  const directory = mkdtempSync(join(tmpdir(), 'flott-parked-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  const zookeeper = await ZooKeeperServer.start()
  t.teardown(() => zookeeper.remove())
  const settings = { 'high-availability.zookeeper.client.session-timeout': '4 s' }
  const cluster = await ProcessCluster.start({
    jobManagers: 2,
    taskManagers: 1,
    slots: 2,
    supervised: true,
    zookeeper: zookeeper.connect,
    settings,
  })
  t.teardown(() => cluster.stop())
  const run = (...args: string[]) => cluster.flott(['run', '-d', '-p', '1', ...args])
  const [poison, stop, output] = [join(directory, 'poison'), join(directory, 'stop'), join(directory, 'counts')]

  const counts = await run('test/integration/cli/programs/steady-counts.ts', String(KEYS), stop, output)
  t.is(counts.code, 0, counts.stderr)
  await cluster.until('the healthy job has output', async () => existsSync(output) && committedLines(output).length > 0)
  const first = await cluster.leader()
  const second = cluster.jobManagers.find((jobManager) => jobManager !== first)!
  const dies = (leader: Daemon) => cluster.until(`${leader.name} dies of the job`, async () => !leader.isRunning)
  writeFileSync(poison, '')
  const submission = run('test/integration/jobmanager/programs/poison.ts', poison)
  await dies(first)
  await dies(second)
  await second.start() // Its disk is in the in-sync set in any case: it led last, and may have taken the dead one's out.
  await dies(second)
  await Promise.all([first.start(), second.start()])
  const { code, stderr } = await submission
  t.is(code, 0, stderr)

  const named = async (name: string) => (await cluster.jobs()).find((job) => job.name === name)!
  await cluster.until('the job is parked', async () => (await named('poison')).state === 'SUSPENDED')
  const details = await cluster.job((await named('poison')).jid)
  t.regex(details['waiting-for']!, /^parked: 2 leaders in a row ended while they recovered this job; tried again in \d+ s/)
  rmSync(poison)
  await cluster.until('the poison is harmless', async () => (await named('poison')).state === 'FINISHED')
  const before = committedLines(output).length
  await cluster.until('the other job goes on', async () => committedLines(output).length > before)
  writeFileSync(stop, '')
  const healthy = (await named('steady counts')).jid
  await cluster.until('the healthy job ends', async () => (await cluster.job(healthy)).state === 'FINISHED')
  t.is((await cluster.job(healthy)).restarts, 0)
  const lines = committedLines(output)
  t.deepEqual(mistakesOf(lines, lines.length, KEYS), NO_MISTAKES)
  t.true(first.isRunning && second.isRunning)
})
