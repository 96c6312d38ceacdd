/** Application mode with the script as its user runs it: what it returns, and who is left. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import type { JobDetailsResponse, JobsOverviewResponse } from '#protocol/rest/responses.js'
import { startCommand } from '../../support/command.js'
import { Installation, type InstallationOptions, isAlive } from '../../support/installation.js'
import { ZooKeeperServer } from '../../support/zookeeper-server.js'

const program = (name: string) => resolve(`dist/test/integration/cli/programs/${name}.js`)

async function installation(t: ExecutionContext, options: InstallationOptions = {}): Promise<Installation> {
  const installed = await Installation.create(options)
  t.teardown(() => installed.remove())
  return installed
}
/** Until `condition` gives something. */
async function until<T>(condition: () => Promise<T | undefined | false> | T | undefined | false): Promise<T> {
  for (;;) {
    const value = await condition()
    if (value !== undefined && value !== false) return value
    await new Promise((done) => setTimeout(done, 20))
  }
}
async function rest<T>(port: number, path: string): Promise<T | undefined> {
  const answer = await fetch(`http://localhost:${port}${path}`).catch(() => undefined)
  return answer?.ok ? ((await answer.json()) as T) : undefined
}

test.serial('a program runs with its arguments, once a job id, and the JobManager ends with its job; TaskManagers stay', async (t) => {
  const { run, pids } = await installation(t)
  const taskManager = run('taskmanager.sh', 'start')
  const application = ['--job', program('squares'), '-jid', 'a'.repeat(32), '-D', 'pipeline.name=by hand', '10', '--more']
  const ended = await run('standalone-job.sh', 'start-foreground', ...application)
  t.is(ended.code, 0, ended.stderr)
  t.regex(ended.stderr, /squares was given \["--more"\]/)
  t.regex(ended.stderr, /"msg":"the application ends"/)
  t.is((await taskManager).code, 0)
  t.is(pids('taskmanager').length, 1)

  const again = await run('standalone-job.sh', 'start-foreground', ...application)
  t.is(again.code, 0, again.stderr)
  t.regex(again.stderr, /its program is not run again/)
  t.notRegex(again.stderr, /squares was given/)

  const thrown = await run('standalone-job.sh', 'start', '-j', program('throws-while-building'))
  t.is(thrown.code, 1, thrown.stdout)
  t.regex(thrown.stderr, /nameOf .*throws-while-building\.ts:7/)
  t.regex(thrown.stderr, /standalonejob ended with exit code 1 while it started/)
  t.is((await run('standalone-job.sh', 'start', '--job', program('squares'), '--unknown')).code, 2)
  t.is((await run('taskmanager.sh', 'stop')).code, 0)
})

test.serial('kill -9 of the leader: the standby goes on with the job, which is there once, and all end with it', async (t) => {
  const zookeeper = await ZooKeeperServer.start()
  t.teardown(() => zookeeper.remove())
  const { run, directory, restPorts } = await installation(t, { zookeeper: zookeeper.connect })
  const [stop, output] = [join(directory, 'stop'), join(directory, 'counts')]
  mkdirSync(output)
  /** On a host of its own, as it were. */
  const args = (host: 0 | 1) => {
    const own = { 'jobmanager.data.dir': join(directory, `data-${host}`), 'rest.port': restPorts[host] }
    const settings = Object.entries(own).flatMap(([key, value]) => ['-D', `${key}=${value}`])
    return [...settings, '--job', program('steady-counts'), '5', stop, output]
  }
  const startedAt = (text: string) => Number(/pid (\d+)/.exec(text)![1])
  const committed = () => readdirSync(output).filter((name) => !name.startsWith('.')).length

  const taskManager = run('taskmanager.sh', 'start')
  const first = await run('standalone-job.sh', 'start', ...args(0))
  t.is(first.code, 0, first.stderr)
  t.regex(first.stdout, /^Started standalonejob \(leads, runs job [0-9a-f]{32}; REST at /)
  const second = startCommand('bin/standalone-job.sh', ['start-foreground', ...args(1)], {
    env: { FLOTT_CONF_DIR: join(directory, 'conf') },
  })
  t.teardown(() => second.process.kill('SIGKILL'))
  t.is((await taskManager).code, 0)
  await until(() => second.output().includes('joined the in-sync set') && committed() > 0)

  const jobs = async (host: 0 | 1) => (await rest<JobsOverviewResponse>(restPorts[host]!, '/jobs/overview'))?.jobs
  const { jid } = (await until(() => jobs(0)))[0]!
  process.kill(startedAt(first.stdout), 'SIGKILL')
  await until(() => second.output().includes('"msg":"leads"'))
  const before = committed()
  await until(() => committed() > before)
  const adopted = await until(async () => {
    const job = await rest<JobDetailsResponse>(restPorts[1]!, `/jobs/${jid}`)
    return job?.state === 'RUNNING' && job
  })
  t.is(adopted.restarts, 0)
  t.is((await until(() => jobs(1))).length, 1)
  t.notRegex(second.output(), /runs the program of the application/)

  const firstAgain = await run('standalone-job.sh', 'start', ...args(0))
  t.is(firstAgain.code, 0, firstAgain.stderr)
  t.regex(firstAgain.stdout, /\(stands by, /)
  writeFileSync(stop, '0')
  const { code, stderr } = await second.result
  t.is(code, 0, stderr)
  await until(() => !isAlive(startedAt(firstAgain.stdout)))
  const log = readFileSync(/log (\S+)\)/.exec(firstAgain.stdout)![1]!, 'utf8')
  t.regex(log, /"exitCode":0,"msg":"the application ends"/)
  const lines = readdirSync(output)
    .filter((name) => !name.startsWith('.'))
    .flatMap((name) => readFileSync(join(output, name), 'utf8').trim().split('\n'))
  t.is(new Set(lines).size, lines.length)
  const rounds = Math.max(...lines.map((line) => Number(line.split(' ')[1])))
  t.is(lines.length, 5 * rounds)
  t.is((await run('taskmanager.sh', 'stop', '--now')).code, 0)
})
