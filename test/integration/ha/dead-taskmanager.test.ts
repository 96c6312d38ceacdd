/**
 * Leader and TaskManager are killed together. Heartbeats are given up after longer than the test takes, so nothing but the registration
 * that the TaskManager's supervisor ends can tell the next leader that there is nobody to wait for.
 */
import { existsSync } from 'node:fs'
import test from 'ava'
import type { VertexDetailsResponse } from '#protocol/rest/responses.js'
import { ProcessCluster } from '../../support/process-cluster.js'
import { ZooKeeperServer } from '../../support/zookeeper-server.js'

test('the next leader waits for no TaskManager whose process is dead: its tasks go on elsewhere', async (t) => {
  t.timeout(300_000)
  const zookeeper = await ZooKeeperServer.start()
  t.teardown(() => zookeeper.remove())
  const cluster = await ProcessCluster.start({
    jobManagers: 2,
    taskManagers: 2,
    slots: 1,
    supervised: true,
    zookeeper: zookeeper.connect,
    settings: {
      'heartbeat.timeout': '10 min',
      'execution.checkpointing.interval': '200 ms',
      'high-availability.zookeeper.client.acl': 'creator',
      'high-availability.zookeeper.client.authorization': 'flott:secret',
    },
  })
  t.teardown(() => cluster.stop())
  const { code, stderr } = await cluster.flott(['run', '-d', '-p', '1', 'test/integration/programs/endless.ts'])
  t.is(code, 0, stderr)
  const [job] = await cluster.jobs()
  const placed = async () => {
    const { vertices, state, restarts } = await cluster.job(job!.jid)
    if (state !== 'RUNNING') return undefined
    const { subtasks } = await cluster.rest<VertexDetailsResponse>(`/jobs/${job!.jid}/vertices/${vertices[0]!.id}`)
    return subtasks[0]!.status === 'RUNNING' && { on: subtasks[0]!['taskmanager-id'], restarts }
  }
  const before = await cluster.until('the job runs', placed)
  const leader = await cluster.leader()
  const standby = cluster.jobManagers.find((jobManager) => jobManager !== leader)!
  await cluster.until('the standby is in sync', async () => standby.log.includes('joined the in-sync set'))
  const victim = cluster.taskManagers[Number(before.on.replace('tm-', ''))]!
  t.true(existsSync(`${victim.runtimePrefix}.session`))

  leader.signal('SIGKILL') // First, so that it does not see the other one's end.
  victim.signal('SIGKILL')
  const after = await cluster.until('the job runs elsewhere', async () => {
    const now = (await cluster.leader().catch(() => leader)) === standby && (await placed())
    return now && now.on !== before.on && now
  })
  t.is(after.restarts, before.restarts + 1)
  await victim.kill() // Waits for its supervisor.
  t.regex(victim.log, /Closed the ZooKeeper session that a dead daemon left/)
  t.false(existsSync(`${victim.runtimePrefix}.session`))
  t.regex(standby.log, new RegExp(`not registered in ZooKeeper any more: TaskManager ${before.on}`))
})
