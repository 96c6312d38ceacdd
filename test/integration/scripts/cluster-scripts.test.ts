/** start-cluster.sh and its like, each in a configuration directory of its own with free ports: what they return, and what they leave. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import type { ClusterOverviewResponse } from '#protocol/rest/responses.js'
import { Installation, type InstallationOptions, isAlive } from '../../support/installation.js'
import { ZooKeeperServer } from '../../support/zookeeper-server.js'

/** Removed at the end, with all that was started in it. */
async function installation(t: ExecutionContext, options: InstallationOptions = {}): Promise<Installation> {
  const installed = await Installation.create(options)
  t.teardown(() => installed.remove())
  return installed
}
async function overview(port: number): Promise<ClusterOverviewResponse> {
  const answer = await fetch(`http://localhost:${port}/overview`)
  return (await answer.json()) as ClusterOverviewResponse
}
async function gone(pid: number): Promise<void> {
  while (isAlive(pid)) await new Promise((done) => setTimeout(done, 10))
}

test.serial(
  'start returns 0 when all are registered; stop leaves no process; starting twice says so; stale pid files are no obstacle',
  async (t) => {
    const { run, pids, restPorts, directory } = await installation(t)
    const started = await run('start-cluster.sh')
    t.is(started.code, 0, started.stdout + started.stderr)
    const { taskmanagers, 'slots-total': slots } = await overview(restPorts[0]!)
    t.deepEqual({ taskmanagers, slots }, { taskmanagers: 2, slots: 2 })
    t.regex(started.stdout, /Started jobmanager \(leads; REST at http:\/\/localhost:\d+, pid \d+, log \S+\)/)
    t.regex(started.stdout, /^All 3 daemons are ready after \d+ ms\.$/m)
    t.is(pids().length, 3)

    const again = await run('taskmanager.sh', 'start')
    t.is(again.code, 0, again.stderr)
    t.regex(again.stdout, /2 instance\(s\) of taskmanager are already running/)
    t.is((await overview(restPorts[0]!)).taskmanagers, 3)
    const second = await run('jobmanager.sh', 'start')
    t.is(second.code, 1, second.stdout)
    t.regex(second.stdout, /1 instance\(s\) of jobmanager are already running/)
    t.regex(second.stderr, /DATA_DIRECTORY_LOCKED|EADDRINUSE|in use/)
    t.is((await overview(restPorts[0]!)).taskmanagers, 3)

    const before = pids()
    const stopped = await run('stop-cluster.sh')
    t.is(stopped.code, 0, stopped.stderr)
    t.is(stopped.stdout.match(/^Stopped /gm)?.length, 3, stopped.stdout)
    const rest = await run('taskmanager.sh', 'stop-all')
    t.regex(rest.stdout, /Stopped taskmanager/)
    await Promise.all(before.map(gone)) // Ended ones may wait for their parent for a moment.
    t.deepEqual(
      readdirSync(join(directory, 'run')).filter((name) => /\.(pid|ready)$/.test(name)),
      [],
    )
    const nothing = await run('stop-cluster.sh')
    t.is(nothing.code, 0, nothing.stderr)
    t.is(nothing.stdout.match(/^No (jobmanager|taskmanager) to stop/gm)?.length, 3, nothing.stdout)
  },
)

test.serial('kill -9 of a daemon, then start again; stop-all ends all; a pid that is not a daemon any more is left alone', async (t) => {
  const { run, pids, restPorts, directory } = await installation(t, { workers: 1 })
  t.is((await run('start-cluster.sh')).code, 0)
  const [taskManager] = pids('taskmanager')
  const [jobManager] = pids('jobmanager')
  process.kill(taskManager!, 'SIGKILL')
  process.kill(jobManager!, 'SIGKILL')
  await Promise.all([gone(taskManager!), gone(jobManager!)])
  const jobManagerAgain = await run('jobmanager.sh', 'start')
  t.is(jobManagerAgain.code, 0, jobManagerAgain.stderr)
  t.notRegex(jobManagerAgain.stdout, /already running/)
  const taskManagerAgain = await run('taskmanager.sh', 'start')
  t.is(taskManagerAgain.code, 0, taskManagerAgain.stderr)
  t.is((await run('taskmanager.sh', 'start')).code, 0)
  t.is((await overview(restPorts[0]!)).taskmanagers, 2)

  // A number that some other process has now: this test's own.
  const file = readdirSync(join(directory, 'run')).find((name) => name.endsWith('taskmanager.pid'))!
  const lines = readFileSync(join(directory, 'run', file), 'utf8')
  writeFileSync(join(directory, 'run', file), `${lines}${process.pid} 7\n`)
  const stopped = await run('taskmanager.sh', 'stop-all')
  t.is(stopped.code, 0, stopped.stderr)
  t.true(stopped.stdout.includes(`No taskmanager (pid ${process.pid}) is running any more`), stopped.stdout)
  t.is(stopped.stdout.match(/^Stopped taskmanager/gm)?.length, 2, stopped.stdout)
  t.deepEqual(
    pids('taskmanager').filter((pid) => pid !== process.pid),
    [],
  )
  t.is((await run('jobmanager.sh', 'stop-all')).code, 0)
  t.deepEqual(pids(), [])
})

test.serial('a TaskManager that can not start: start-cluster.sh says which, and why, and returns its exit code', async (t) => {
  const { run, pids } = await installation(t, { workers: 1 })
  const bad = await run('start-cluster.sh', '-D', 'taskmanager.bind-host=192.0.2.1')
  t.is(bad.code, 1, bad.stdout)
  t.regex(bad.stderr, /TaskManager on localhost did not start \(exit code 1\)/)
  t.regex(bad.stderr, /192\.0\.2\.1/)
  t.is(pids('taskmanager').length, 0)
  t.is(pids('jobmanager').length, 1)
  t.is((await run('stop-cluster.sh')).code, 0)
  t.deepEqual(pids(), [])
})

test.serial('other hosts are reached by ssh, with what was set here; one that is not reached is named, with the exit code', async (t) => {
  const { env, run, pids, restPorts } = await installation(t, { workers: ['worker-1', 'worker-2.down', 'worker-3.bare'] })
  env['PATH'] = `${resolve('test/fixtures/bin')}:${process.env['PATH']}`
  env['FLOTT_NODE'] = process.execPath
  env['FLOTT_TASKMANAGER_NUMBEROFTASKSLOTS'] = '3'
  env['FLOTT_JOB_NOTE'] = `it's "two" lines\n$HOME`
  const started = await run('start-cluster.sh', '-D', `taskmanager.resource-id=a b'c$d`)
  t.is(started.code, 127, started.stdout + started.stderr)
  t.true(started.stdout.includes(`Started taskmanager (a b'c$d is registered`), started.stdout + started.stderr)
  t.regex(started.stderr, /^ssh: connect to host worker-2\.down port 22: Connection refused$/m)
  t.regex(started.stderr, /^\[ERROR\] ssh to worker-2\.down failed \(exit code 255\), so taskmanager\.sh start did not run there/m)
  t.regex(started.stderr, /^\[ERROR\] TaskManager on worker-2\.down did not start \(exit code 255\)\.$/m)
  t.regex(started.stderr, /taskmanager\.sh can not be run on worker-3\.bare \(exit code 127\): the installation is to be at the same path/)
  const { taskmanagers, 'slots-total': slots } = await overview(restPorts[0]!)
  t.deepEqual({ taskmanagers, slots }, { taskmanagers: 1, slots: 3 })
  const stopped = await run('stop-cluster.sh')
  t.is(stopped.code, 127, stopped.stderr)
  t.regex(stopped.stderr, /^\[ERROR\] TaskManager on worker-2\.down was not stopped \(exit code 255\)\.$/m)
  t.deepEqual(pids(), [])
})

test.serial('two JobManagers of one host with ZooKeeper: one leads, one stands by', async (t) => {
  const zookeeper = await ZooKeeperServer.start()
  t.teardown(() => zookeeper.remove())
  const { run, pids, restPorts } = await installation(t, { zookeeper: zookeeper.connect, workers: 1 })
  const started = await run('start-cluster.sh')
  t.is(started.code, 0, started.stdout + started.stderr)
  t.is(started.stdout.match(/^Started jobmanager \(leads/gm)?.length, 1, started.stdout)
  t.is(started.stdout.match(/^Started jobmanager \(stands by/gm)?.length, 1, started.stdout)
  for (const port of restPorts) t.is((await overview(port)).taskmanagers, 1)
  t.is(pids().length, 3)
  const stopped = await run('stop-cluster.sh')
  t.is(stopped.code, 0, stopped.stderr)
  t.deepEqual(pids(), [])
})
