/** The command line end to end, as processes: what it prints and where, its exit codes, and what a job that it started goes through. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { runCommand, startCommand } from '../../support/command.js'
import { freePort } from '../../support/free-port.js'
import { ProcessCluster } from '../../support/process-cluster.js'

const SQUARES = 'test/integration/cli/programs/squares.ts'
const MISBEHAVES = 'test/integration/cli/programs/misbehaves.ts'
let cluster: ProcessCluster
let directory: string
const ENDED = ['FINISHED', 'CANCELED', 'FAILED']

test.before(async () => {
  directory = mkdtempSync(join(tmpdir(), 'flott-cli-'))
  cluster = await ProcessCluster.start({ jobManagers: 1, taskManagers: 1, slots: 2 })
})
test.after.always(async () => {
  await cluster?.stop()
  rmSync(directory, { recursive: true, force: true })
})

test.afterEach.always(async () => {
  for (const { jid, state } of await cluster.jobs()) if (!ENDED.includes(state)) await cancel(jid)
})

const address = () => new URL(cluster.jobManagers[0]!.restUrl).host
const environment = () => ({ FLOTT_CONF_DIR: cluster.confDir })

/** An endless job. */
async function detached(...options: string[]): Promise<string> {
  const { stdout, stderr } = await cluster.flott(['run', '-d', '--json', ...options, MISBEHAVES, 'runs-on'])
  const { jobId } = JSON.parse(stdout || '{}') as { jobId?: string }
  if (jobId === undefined) throw new Error(stderr)
  await running(jobId)
  return jobId
}
async function running(jobId: string): Promise<void> {
  await cluster.until('the job runs', async () => {
    const { state, 'status-counts': tasks } = await cluster.job(jobId)
    return state === 'RUNNING' && tasks.RUNNING > 0
  })
}
async function cancel(jobId: string): Promise<void> {
  await fetch(`${cluster.jobManagers[0]!.restUrl}/jobs/${jobId}?mode=cancel`, { method: 'PATCH' })
  await cluster.until('the job is CANCELED', async () => (await cluster.job(jobId)).state === 'CANCELED')
}

test.serial('run, attached: the job id, progress as plain lines, accumulators; nothing on stdout; exit code 0', async (t) => {
  const { code, stdout, stderr } = await cluster.flott(['run', SQUARES, '10'])
  t.is(code, 0, stderr)
  t.is(stdout, '')
  const lines = stderr.trimEnd().split('\n')
  const [, jobId] = /^Job has been submitted with JobID ([0-9a-f]{32})$/m.exec(stderr)!
  t.true(lines.includes(`Job with JobID ${jobId} has finished.`))
  t.regex(stderr, /^squares: (RUNNING|FINISHED|CREATED|INITIALIZING), \d+\.\d s.*; checkpoints: 0 completed, 0 failed; restarts: 0$/m)
  t.regex(stderr, /^Job Runtime: \d+ ms$/m)
  t.deepEqual(lines.slice(-2), ['Accumulator Results:', '- total: 385'])
  t.false(stderr.includes('\x1b'))
})

test.serial('run on a terminal: the block is redrawn in place', async (t) => {
  const output = join(directory, 'typescript')
  const jobs = new Set((await cluster.jobs()).map(({ jid }) => jid))
  const command = `bin/flott run -m ${address()} ${MISBEHAVES} runs-on`
  const child = spawn('script', ['-qefc', command, output], { stdio: ['pipe', 'pipe', 'pipe'], env: { ...process.env, ...environment() } })
  let text = ''
  child.stdout.on('data', (data) => (text += String(data)))
  const closed = once(child, 'close')
  await cluster.until('the running task is drawn', async () => /Source: numbers.* RUNNING +1\/1 /.test(text))
  const plain = text.replaceAll('\r', '')
  t.regex(plain, /a job that runs-on {2}RUNNING {2}\d+\.\d s/)
  t.regex(plain, /vertex +state +tasks +records in +in\/s/)
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what a terminal is told.
  t.regex(plain, /\x1b\[\d+A\x1b\[0J/)
  const jobId = (await cluster.jobs()).find(({ jid }) => !jobs.has(jid))!.jid
  await cancel(jobId)
  t.is((await closed)[0], 4)
  t.regex(text, /ended CANCELED/)
})

test.serial('run -d returns at once with 0; list, status and cancel, for people and as JSON', async (t) => {
  const run = await cluster.flott(['run', '-d', MISBEHAVES, 'runs-on'])
  t.is(run.code, 0, run.stderr)
  const [, jobId] = /^Job has been submitted with JobID ([0-9a-f]{32})$/m.exec(run.stderr)!
  await running(jobId!)

  const list = await cluster.flott(['list'])
  t.is(list.code, 0, list.stderr)
  const line = new RegExp(`^\\d\\d\\.\\d\\d\\.\\d{4} \\d\\d:\\d\\d:\\d\\d : ${jobId} : a job that runs-on \\(RUNNING\\)$`, 'm')
  t.regex(list.stdout, /^-{18} Running\/Restarting Jobs -{18}$/m)
  t.regex(list.stdout, line)
  t.regex(list.stdout, /^No scheduled jobs\.$/m)
  t.regex((await cluster.flott(['list', '-s'])).stdout, /^No scheduled jobs\.\n$/)
  t.regex((await cluster.flott(['list', '-a'])).stdout, /^-{18} Terminated Jobs -{18}\n.*squares \(FINISHED\)$/ms)
  const listed = JSON.parse((await cluster.flott(['list', '--json', '-r'])).stdout) as { jid: string; state: string }[]
  t.deepEqual(
    listed.map(({ jid, state }) => ({ jid, state })),
    [{ jid: jobId!, state: 'RUNNING' }],
  )

  const status = await cluster.flott(['status'])
  t.regex(
    status.stdout,
    /^Flott \S+, led by jm-0 \(http:\/\/\S+\), epoch \S+\n1 TaskManagers, 1 of 2 slots free\n {2}tm-0 {2}.*1\/2 slots free/,
  )
  const whole = JSON.parse((await cluster.flott(['status', '--json'])).stdout) as Record<string, unknown>
  t.is(whole['slots-available'], 1)
  t.regex((await cluster.flott(['status', jobId!])).stdout, /^a job that runs-on {2}RUNNING/)
  const one = JSON.parse((await cluster.flott(['status', '--json', jobId!])).stdout) as Record<string, unknown>
  t.deepEqual([one['jid'], one['state']], [jobId, 'RUNNING'])

  const cancelled = await cluster.flott(['cancel', '--json', jobId!])
  t.is(cancelled.code, 0, cancelled.stderr)
  t.deepEqual(JSON.parse(cancelled.stdout), { jobId, status: 'CANCELED' })
  t.is(cancelled.stderr, '')
  const again = await cluster.flott(['cancel', jobId!])
  t.is(again.code, 1)
  t.regex(again.stderr, /JOB_ALREADY_TERMINATED.*CANCELED/)
})

test.serial('run --json and info --json: JSON alone on stdout', async (t) => {
  const run = await cluster.flott(['run', '--json', SQUARES, '4'])
  t.is(run.code, 0, run.stderr)
  const { jobId, netRuntimeMs, ...result } = JSON.parse(run.stdout) as Record<string, unknown>
  t.deepEqual(result, { status: 'FINISHED', accumulators: { total: 30 } })
  t.regex(String(jobId), /^[0-9a-f]{32}$/)
  t.true(Number(netRuntimeMs) > 0)
  const info = await runCommand('bin/flott', ['info', '--json', SQUARES], { env: environment() })
  t.is(info.code, 0, info.stderr)
  const graph = JSON.parse(info.stdout) as { jobName: string; vertices: { name: string }[] }
  t.is(graph.jobName, 'squares')
  t.true(graph.vertices[0]!.name.startsWith('Source: numbers'))
})

test.serial('a job that fails: exit code 3; its stack names the line of the TypeScript source', async (t) => {
  const { code, stderr } = await cluster.flott(['run', MISBEHAVES, 'throws'])
  t.is(code, 3)
  t.regex(stderr, /^Job [0-9a-f]{32} ended FAILED after \d+ ms\.$/m)
  const line =
    readFileSync(MISBEHAVES, 'utf8')
      .split('\n')
      .findIndex((text) => text.includes('throw new RangeError')) + 1
  t.regex(stderr, new RegExp(`at parse \\(\\S*misbehaves\\.ts:${line}:\\d+\\)`))
  const json = await cluster.flott(['run', '--json', MISBEHAVES, 'throws'])
  t.is(json.code, 3)
  const result = JSON.parse(json.stdout) as { status: string; failure: { code: string } }
  t.deepEqual([result.status, result.failure.code], ['FAILED', 'JOB_FAILED'])
})

test.serial('a job that is cancelled meanwhile: exit code 4', async (t) => {
  const run = cluster.startFlott(['run', MISBEHAVES, 'runs-on'])
  const jobId = await cluster.until('it runs', async () => (await cluster.jobs()).find(({ state }) => state === 'RUNNING')?.jid)
  await running(jobId)
  await cancel(jobId)
  const { code, stderr } = await run.result
  t.is(code, 4, stderr)
  t.regex(stderr, /ended CANCELED/)
})

test.serial('Ctrl-C leaves the job running; with -sae it cancels it; 130 both times', async (t) => {
  for (const [options, state] of [
    [[], 'RUNNING'],
    [['-sae'], 'CANCELED'],
  ] as const) {
    const run = startCommand('bin/flott', ['run', '-m', address(), ...options, MISBEHAVES, 'runs-on'], { env: environment() })
    const jobId = await cluster.until('the job is submitted', async () => /JobID ([0-9a-f]{32})/.exec(run.output())?.[1])
    await running(jobId)
    run.process.kill('SIGINT')
    const { code, stderr } = await run.result
    t.is(code, 130, stderr)
    if (state === 'CANCELED') await cluster.until('it is cancelled', async () => (await cluster.job(jobId)).state === state)
    else {
      t.regex(stderr, new RegExp(`Job ${jobId} runs on; flott cancel ${jobId} ends it`))
      t.is((await cluster.job(jobId)).state, state)
      await cancel(jobId)
    }
  }
})

test.serial('-m with several addresses, of which the first is dead', async (t) => {
  const dead = `127.0.0.1:${await freePort()}`
  const { code, stdout, stderr } = await runCommand('bin/flott', ['list', '-m', `${dead},http://${address()}`], { env: environment() })
  t.is(code, 0, stderr)
  t.regex(stdout, /No running jobs\./)
  t.regex(stderr, new RegExp(`${dead}.*ECONNREFUSED`))
})

test.serial('-D and -p go over what the program sets; an alias counts as its option', async (t) => {
  const graph = async (...options: string[]) => {
    const { stdout, stderr } = await runCommand('bin/flott', ['info', '--json', ...options, SQUARES], { env: environment() })
    if (stdout === '') throw new Error(stderr)
    return JSON.parse(stdout) as { settings: Record<string, string>; vertices: { parallelism: number; maxParallelism: number }[] }
  }
  const own = await graph()
  t.deepEqual([own.vertices[0]!.parallelism, own.vertices[0]!.maxParallelism], [1, 128])
  const changed = await graph('-p', '2', '-D', 'pipeline.max-parallelism=64', '-Dexecution.checkpointing.interval=7 s')
  t.deepEqual([changed.vertices[0]!.parallelism, changed.vertices[0]!.maxParallelism], [2, 64])
  t.is(changed.settings['execution.checkpointing.interval'], '7 s')
  t.is((await graph('--parallelism', '1', '--parallelism=2')).vertices[0]!.parallelism, 2)
})

test.serial('what follows the file is the program’s, whatever it looks like', async (t) => {
  const args = ['4', '-p', '7', '--json', '-D', 'no.such.key=1', '--help', '--', '-m', 'nowhere', '']
  const { code, stdout, stderr } = await cluster.flott(['run', SQUARES, ...args])
  t.is(code, 0, stderr)
  t.is(stdout, '')
  t.true(stderr.includes(`squares was given ${JSON.stringify(args.slice(1))}`), stderr)
})

test.serial('the TaskManagers’ print goes to their logs, the program’s own output to the terminal', async (t) => {
  const file = join(directory, 'prints.ts')
  writeFileSync(
    file,
    `import { StreamExecutionEnvironment } from 'flott'
    console.log('from the client')
    const env = StreamExecutionEnvironment.getExecutionEnvironment()
    env.fromSequence(1, 2, 'numbers').map((n: number) => 'record ' + n, 'texts').print()
    await env.execute('prints')
    `,
  )
  const { code, stdout } = await cluster.flott(['run', '-p', '1', file])
  t.is(code, 0)
  t.is(stdout, 'from the client\n')
  await cluster.until('the records are in the log', async () => /^record 1\nrecord 2$/m.test(cluster.taskManagers[0]!.log))
})

test.serial('at the end nothing runs and all slots are free', async (t) => {
  t.is((await cluster.overview())['slots-available'], 2)
  t.deepEqual(
    (await cluster.jobs()).filter(({ state }) => !ENDED.includes(state)),
    [],
  )
  const jobId = await detached('-p', '2')
  t.is((await cluster.overview())['slots-available'], 0)
  await cancel(jobId)
})
