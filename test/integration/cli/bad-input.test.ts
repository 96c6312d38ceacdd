/** What users get wrong, on a real cluster: each gives its exit code, its error code and a message that names the thing. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { runCommand } from '../../support/command.js'
import { freePort } from '../../support/free-port.js'
import { ProcessCluster } from '../../support/process-cluster.js'

const PROGRAMS = 'test/integration/cli/programs'
let cluster: ProcessCluster
let directory: string

test.before(async () => {
  directory = mkdtempSync(join(tmpdir(), 'flott-bad-input-'))
  const settings = { 'rest.server.max-content-length': '64 kb' }
  cluster = await ProcessCluster.start({ jobManagers: 1, taskManagers: 1, slots: 2, settings })
})
test.after.always(async () => {
  await cluster?.stop()
  rmSync(directory, { recursive: true, force: true })
})

interface Mistake {
  readonly args: readonly string[]
  readonly exit: number
  readonly code: string
  readonly names: readonly RegExp[]
}
const program = (name: string) => `${PROGRAMS}/${name}.ts`

const MISTAKES: Readonly<Record<string, Mistake>> = {
  'an option that does not exist': {
    args: ['list', '--runing'],
    exit: 2,
    code: 'INVALID_ARGUMENT',
    names: [/runing/, /did you mean --running\?/],
  },
  'an option without its value': { args: ['run', '-p'], exit: 2, code: 'INVALID_ARGUMENT', names: [/-p expects a value/] },
  'an option with a wrong value': {
    args: ['run', '-p', 'many', program('squares')],
    exit: 2,
    code: 'INVALID_ARGUMENT',
    names: [/--parallelism \(-p\) expects a whole number/],
  },
  'an action that does not exist': { args: ['cancle'], exit: 2, code: 'INVALID_ARGUMENT', names: [/cancle/, /did you mean cancel\?/] },
  'an action of two words, misspelt': {
    args: ['reset-in-syn'],
    exit: 2,
    code: 'INVALID_ARGUMENT',
    names: [/did you mean reset-in-sync\?/],
  },
  'an action without what it needs': {
    args: ['cancel'],
    exit: 2,
    code: 'INVALID_ARGUMENT',
    names: [/flott cancel expects the id of a job/],
  },
  'a key that does not exist': { args: ['config', 'rest.prot'], exit: 2, code: 'INVALID_ARGUMENT', names: [/did you mean rest\.port\?/] },
  'nothing to dispose of': { args: ['savepoint', '-d'], exit: 2, code: 'INVALID_ARGUMENT', names: [/-d expects a value/] },
  'a checkpoint that is none': {
    args: ['run', '-s', 'file:///checkpoints/chk-1', program('squares')],
    exit: 2,
    code: 'INVALID_ARGUMENT',
    names: [/--fromSavepoint \(-s\) is 'file:.*expects flott:\/<job id>\/chk-<n>/],
  },
  'a checkpoint that nobody has': {
    args: ['run', '-s', 'a'.repeat(32), program('squares')],
    exit: 6,
    code: 'CHECKPOINT_NOT_FOUND',
    names: [/no job a+ retains checkpoints; there are/],
  },
  'a job id that is none': { args: ['cancel', 'xyz'], exit: 2, code: 'INVALID_ARGUMENT', names: [/'xyz' is not a job id/] },
  'a job that does not exist': { args: ['cancel', 'a'.repeat(32)], exit: 6, code: 'JOB_NOT_FOUND', names: [/a{32}/] },
  'a file that is missing': {
    args: ['run', 'no/such-program.ts'],
    exit: 2,
    code: 'INVALID_ARGUMENT',
    names: [/no\/such-program\.ts/],
  },
  'a configuration key with a typo': {
    args: ['run', '-D', 'execution.checkpointing.intervall=1 s', program('squares')],
    exit: 78,
    code: 'INVALID_CONFIG',
    names: [/execution\.checkpointing\.intervall/, /did you mean .?execution\.checkpointing\.interval\b/],
  },
  'a program that throws': {
    args: ['run', program('throws-while-building')],
    exit: 1,
    code: 'PROGRAM_FAILED',
    names: [/TypeError/, /throws-while-building\.ts:7:\d+/, /throws-while-building\.ts:10:\d+/],
  },
  'a program that never calls execute': {
    args: ['run', program('never-executes')],
    exit: 1,
    code: 'EMPTY_GRAPH',
    names: [/without calling execute/],
  },
  'two operators with one uid': {
    args: ['run', program('one-uid-twice')],
    exit: 1,
    code: 'DUPLICATE_UID',
    names: [/'step'/, /'adds one'/, /'doubles'/, /one-uid-twice\.ts:5:\d+/],
  },
  'an operator with a parallelism above the max parallelism': {
    args: ['run', program('above-max-parallelism')],
    exit: 1,
    code: 'PARALLELISM_ABOVE_MAX',
    names: [/'wide'/, /200/, /128/],
  },
  'a -p above the max parallelism': {
    args: ['run', '-p', '200', program('squares')],
    exit: 78,
    code: 'INVALID_CONFIG',
    names: [/parallelism\.default is 200, above pipeline\.max-parallelism \(128\)/],
  },
  'a graph that differs between client and slot': {
    args: ['run', program('differs-in-worker')],
    exit: 3,
    code: 'GRAPH_NOT_DETERMINISTIC',
    names: [/the client built "operator of-process-(\d+): map", this evaluation "operator of-process-(?!\1")\d+: map"/],
  },
}
for (const [name, { args, exit, code, names }] of Object.entries(MISTAKES))
  test.serial(`${name}: exit code ${exit}, ${code}`, async (t) => {
    const { stderr, stdout, ...result } = await cluster.flott(args)
    t.is(result.code, exit, stderr)
    t.regex(stderr, new RegExp(`\\b${code}\\b`))
    for (const thing of names) t.regex(stderr, thing)
    t.is(stdout, '')
  })

test.serial('an artifact above rest.server.max-content-length: exit code 1, ARTIFACT_TOO_LARGE, and the cluster goes on', async (t) => {
  const file = join(directory, 'large.ts')
  const source = `import { StreamExecutionEnvironment } from 'flott'
    const text = '${'large '.repeat(20_000)}'
    const env = StreamExecutionEnvironment.getExecutionEnvironment()
    env.fromSequence(1, text.length, 'numbers').print()
    await env.execute()`
  writeFileSync(file, source)
  const { code, stderr } = await cluster.flott(['run', file])
  t.is(code, 1, stderr)
  t.regex(stderr, /ARTIFACT_TOO_LARGE/)
  t.regex(stderr, /rest\.server\.max-content-length/)
})

test.serial('a typo in config.yaml: exit code 78 with file, line, key and the nearest key, for each command and daemon', async (t) => {
  writeFileSync(join(directory, 'config.yaml'), '# A comment.\nrest.port: 8081\ntaskmanager.numberOfTaskSlot: 4\n')
  const env = { FLOTT_CONF_DIR: directory }
  const attempts = [
    runCommand('bin/flott', ['list'], { env }),
    runCommand('bin/jobmanager.sh', ['start'], { env }),
    runCommand('bin/taskmanager.sh', ['start-foreground'], { env }),
    runCommand('bin/start-cluster.sh', [], { env }),
  ]
  for (const { code, stderr } of await Promise.all(attempts)) {
    t.is(code, 78, stderr)
    t.regex(stderr, /config\.yaml:3\b/)
    t.regex(stderr, /taskmanager\.numberOfTaskSlot\b.*taskmanager\.numberOfTaskSlots\b/)
  }
})

test.serial('a value in config.yaml that does not parse: the same', async (t) => {
  writeFileSync(join(directory, 'config.yaml'), 'rest.port: 8081\nheartbeat.interval: often\n')
  const { code, stderr } = await runCommand('bin/flott', ['list'], { env: { FLOTT_CONF_DIR: directory } })
  t.is(code, 78, stderr)
  t.regex(stderr, /config\.yaml:2\b/)
  t.regex(stderr, /heartbeat\.interval.*often/)
})

test.serial('a cluster that does not answer: exit code 5, its address', async (t) => {
  const address = `127.0.0.1:${await freePort()}`
  const args = ['list', '-m', address, '-D', 'rest.retry.max-attempts=1']
  const { code, stderr } = await runCommand('bin/flott', args, { env: { FLOTT_CONF_DIR: cluster.confDir } })
  t.is(code, 5, stderr)
  t.regex(stderr, /CONNECTION_REFUSED/)
  t.true(stderr.includes(address))
})

test.serial('a ZooKeeper that does not answer: exit code 5, and it is named', async (t) => {
  const settings = ['high-availability.type=zookeeper', 'high-availability.zookeeper.quorum=127.0.0.1:1']
  const patience = ['rest.connection-timeout=200 ms', 'rest.retry.max-attempts=1']
  const args = ['list', ...[...settings, ...patience].flatMap((setting) => ['-D', setting])]
  const { code, stderr } = await runCommand('bin/flott', args, { env: { FLOTT_CONF_DIR: cluster.confDir } })
  t.is(code, 5, stderr)
  t.regex(stderr, /ZOOKEEPER_UNAVAILABLE: ZooKeeper at 127\.0\.0\.1:1 does not answer/)
})

test.serial('after all of that the cluster runs a job, and both its processes are those that were started', async (t) => {
  const result = await cluster.flott(['run', program('squares'), '10'])
  t.is(result.code, 0, result.stderr)
  t.true([...cluster.jobManagers, ...cluster.taskManagers].every((daemon) => daemon.isRunning))
})
