/**
 * Leadership after the end of a JobManager, with a session time-out that is longer than any test waits: only who closes the session of
 * the dead leader can make another one lead.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { resolve } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import type { ClusterOverviewResponse } from '#protocol/rest/responses.js'
import { type Daemon, ProcessCluster } from '../../support/process-cluster.js'
import { ZooKeeperServer } from '../../support/zookeeper-server.js'

const SESSION_TIMEOUT_MS = 120_000
const WITHIN_MS = 60_000

let zookeeper: ZooKeeperServer
test.before(async () => {
  zookeeper = await ZooKeeperServer.start()
})
test.after.always(() => zookeeper?.remove())

async function start(t: ExecutionContext, options: { jobManagers: number; supervised: boolean }): Promise<ProcessCluster> {
  t.timeout(SESSION_TIMEOUT_MS)
  const cluster = await ProcessCluster.start({
    ...options,
    taskManagers: 0,
    slots: 1,
    zookeeper: `127.0.0.1:1,${zookeeper.connect}`, // One server of the quorum refuses.
    settings: {
      'high-availability.zookeeper.client.session-timeout': `${SESSION_TIMEOUT_MS} ms`,
      // To close a session takes its password, and no other right.
      'high-availability.zookeeper.client.acl': 'creator',
      'high-availability.zookeeper.client.authorization': 'flott:secret',
      'high-availability.zookeeper.path.root': '/flott-protected',
    },
  })
  t.teardown(() => cluster.stop())
  return cluster
}
/** With the other one in the in-sync set: it may lead next. */
async function leaderAndStandby(cluster: ProcessCluster): Promise<{ leader: Daemon; standby: Daemon }> {
  const leader = await cluster.leader()
  const standby = cluster.jobManagers.find((jobManager) => jobManager !== leader)!
  await cluster.until('the standby is in sync', async () => standby.log.includes('joined the in-sync set'))
  return { leader, standby }
}
async function leads(cluster: ProcessCluster, daemon: Daemon): Promise<void> {
  await cluster.until(
    `${daemon.name} leads`,
    async () => {
      const answer = await fetch(`${daemon.restUrl}/overview`).catch(() => undefined)
      return answer?.ok && ((await answer.json()) as ClusterOverviewResponse).leader.address === daemon.restUrl
    },
    WITHIN_MS,
  )
}
function sessionOf(daemon: Daemon): string {
  return `${daemon.runtimePrefix}.session`
}
function release(daemon: Daemon): { status: number | null; stderr: string } {
  return spawnSync(resolve('bin/flott-release.sh'), [`${daemon.runtimePrefix}.lock`], { encoding: 'utf8' })
}

test.serial('kill -9 of the leader: the standby leads without waiting for the session time-out', async (t) => {
  const cluster = await start(t, { jobManagers: 2, supervised: true })
  const { leader, standby } = await leaderAndStandby(cluster)
  t.is(statSync(sessionOf(leader)).mode & 0o777, 0o600)
  leader.signal('SIGKILL')
  await leads(cluster, standby)
  await leader.kill('SIGKILL') // Waits for its supervisor.
  t.false(existsSync(sessionOf(leader)))
  t.true(existsSync(sessionOf(standby)))
})

test.serial('a leader that is stopped but lives keeps its session: neither its supervisor nor a hand may close it', async (t) => {
  const cluster = await start(t, { jobManagers: 2, supervised: true })
  const { leader, standby } = await leaderAndStandby(cluster)
  leader.signal('SIGSTOP')
  const { status, stderr } = release(leader)
  t.is(status, 75)
  t.regex(stderr, /lives/)
  t.true(existsSync(sessionOf(leader)))
  leader.signal('SIGCONT')
  await leads(cluster, leader)
  t.notRegex(standby.log, /granted leadership/)
  t.notRegex(leader.log, /leadership ended/)
})

test.serial('a leader that is stopped cleanly hands over at once and leaves no credentials', async (t) => {
  const cluster = await start(t, { jobManagers: 2, supervised: true })
  const { leader, standby } = await leaderAndStandby(cluster)
  t.is(await leader.kill('SIGTERM'), 0)
  t.false(existsSync(sessionOf(leader)))
  t.notRegex(leader.log, /Closed the ZooKeeper session/)
  await leads(cluster, standby)
})

test.serial('a JobManager whose supervisor died with it leads again as soon as it is started again', async (t) => {
  const cluster = await start(t, { jobManagers: 1, supervised: true })
  const leader = await cluster.leader()
  const supervisor = Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${leader.pid}/status`, 'utf8'))![1])
  process.kill(supervisor, 'SIGKILL')
  process.kill(leader.pid, 'SIGKILL')
  await leader.kill('SIGKILL')
  t.true(existsSync(sessionOf(leader)))
  await leader.start()
  await leads(cluster, leader)
})

test.serial('without the lock no credentials are written, whatever the environment says', async (t) => {
  const cluster = await start(t, { jobManagers: 1, supervised: false })
  const [daemon] = cluster.jobManagers as [Daemon]
  t.false(existsSync(sessionOf(daemon)))
  await daemon.kill('SIGTERM')
  process.env['FLOTT_LOCK_FILE'] = `${daemon.runtimePrefix}.lock`
  t.teardown(() => delete process.env['FLOTT_LOCK_FILE'])
  await daemon.start()
  await leads(cluster, daemon)
  t.regex(daemon.log, /it runs unsupervised/)
  t.false(existsSync(sessionOf(daemon)))
})
