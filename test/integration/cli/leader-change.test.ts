/** The command line while the leader changes: two JobManagers, a real ZooKeeper, kill -9. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { startCommand } from '../../support/command.js'
import { committedLines, mistakesOf, NO_MISTAKES } from '../../support/numbered-counts.js'
import { ProcessCluster } from '../../support/process-cluster.js'
import { ZooKeeperServer } from '../../support/zookeeper-server.js'

const KEYS = 10

test.serial('an attached run goes on through a change of leader, and says so once; the leader is found through ZooKeeper', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'flott-leader-change-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  const zookeeper = await ZooKeeperServer.start()
  t.teardown(() => zookeeper.remove())
  const settings = { 'high-availability.zookeeper.client.session-timeout': '2 s' }
  const cluster = await ProcessCluster.start({ jobManagers: 2, taskManagers: 1, slots: 1, zookeeper: zookeeper.connect, settings })
  t.teardown(() => cluster.stop())
  const [stop, output] = [join(directory, 'stop'), join(directory, 'counts')]
  const args = ['run', '-p', '1', 'test/integration/cli/programs/steady-counts.ts', String(KEYS), stop, output]
  const run = startCommand('bin/flott', args, { env: { FLOTT_CONF_DIR: cluster.confDir } })
  await cluster.until('a checkpoint is complete', async () => {
    const [job] = await cluster.jobs()
    return job && (await cluster.rest<{ counts: { completed: number } }>(`/jobs/${job.jid}/checkpoints`)).counts.completed > 0
  })
  const leader = await cluster.leader()
  await leader.kill('SIGKILL')
  const next = await cluster.leader()
  t.not(next.pid, leader.isRunning ? leader.pid : 0)
  await cluster.until('the run has noticed', async () => run.output().includes(' leads now.'))
  writeFileSync(stop, '')
  const { code, stderr } = await run.result
  t.is(code, 0, stderr + cluster.logs())
  t.deepEqual(
    stderr.match(/^The .*$/gm)?.filter((line) => !/does not answer/.test(line)),
    [`The leader has changed: ${next.name} leads now.`.replace('jobmanager-', 'jm-')],
    stderr,
  )
  t.notRegex(stderr, /RECONCILING/)
  t.regex(stderr, /restarts: 0\n/)
  t.notRegex(stderr, /restarts: [1-9]/)
  const lines = committedLines(output)
  t.deepEqual(mistakesOf(lines, lines.length, KEYS), NO_MISTAKES)

  // By the command line's own look-up, and by a list of addresses of which one is dead.
  const found = await cluster.flott(['status', '--json'])
  t.is(found.code, 0, found.stderr)
  t.is((JSON.parse(found.stdout) as { leader: { address: string } }).leader.address, next.restUrl)
})

test.serial('collected records come once each, through two leaders that are killed', async (t) => {
  t.timeout(300_000)
  const zookeeper = await ZooKeeperServer.start()
  t.teardown(() => zookeeper.remove())
  const cluster = await ProcessCluster.start({
    jobManagers: 2,
    taskManagers: 1,
    slots: 2,
    supervised: true,
    zookeeper: zookeeper.connect,
  })
  t.teardown(() => cluster.stop())
  const count = 8_000
  const run = cluster.startFlott(['run', '-p', '2', 'test/integration/cli/programs/collected-numbers.ts', String(count), '500'])
  const checkpoints = async () => {
    const [job] = await cluster.jobs()
    return job ? (await cluster.rest<{ counts: { completed: number } }>(`/jobs/${job.jid}/checkpoints`)).counts.completed : 0
  }
  let before = 0
  for (let reign = 0; reign < 2; reign++) {
    await cluster.until('checkpoints are complete', async () => (await checkpoints()) >= before + 3)
    before = await checkpoints()
    const leader = await cluster.leader()
    await leader.kill('SIGKILL')
    await leader.start()
  }
  const { code, stdout, stderr } = await run.result
  t.is(code, 0, stderr + cluster.logs())
  t.deepEqual(JSON.parse(stdout), { came: count, different: count })
})
