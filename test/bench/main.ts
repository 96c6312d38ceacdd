import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { BENCHMARKS } from './benchmarks.js'
import { runClusterBench } from './cluster.bench.js'
import { type FailoverOptions, runFailoverBench } from './failover.bench.js'

const USAGE = `usage: npm run -s bench -- [NAME ...] [options]
Without a NAME: all of them, one after the other. A line of JSON for each run.

chain, keyed, words (a cluster of daemons):
  --records N        records of the job
  --keys K           of keyed; 100000 unless said otherwise
  --parallelism P    2
  --taskmanagers T   1; they share two slots
  --checkpoint TEXT  interval, '1 s'
  --profile-dir D    a profile of each thread of the TaskManagers
failover: all of its cases, or one with
  --victim leader|taskmanager|slot
  --signal SIGKILL|SIGTERM
  --unsupervised     nobody closes a dead leader's session
  --state-mb N       of the job
all:
  --quick            parts run small: whether they work, not how fast they are
  --json             one line a run, also of those that run daemons

${Object.entries(BENCHMARKS)
  .map(([name, { measures }]) => `  ${name.padEnd(17)}${measures.replaceAll('`', '')}`)
  .join('\n')}
`
const EXIT_USAGE = 2
const DEFAULT_RECORDS = { chain: 100_000_000, keyed: 20_000_000, words: 5_000_000 } as const
type Job = keyof typeof DEFAULT_RECORDS
/** Each row of the README's figures. */
const FAILOVERS: readonly FailoverOptions[] = [
  { victim: 'leader', signal: 'SIGKILL', supervised: true, stateMb: 0 },
  { victim: 'leader', signal: 'SIGTERM', supervised: true, stateMb: 0 },
  { victim: 'leader', signal: 'SIGKILL', supervised: false, stateMb: 0 },
  { victim: 'taskmanager', signal: 'SIGKILL', supervised: true, stateMb: 0 },
  { victim: 'taskmanager', signal: 'SIGKILL', supervised: true, stateMb: 100 },
  { victim: 'slot', signal: 'SIGKILL', supervised: true, stateMb: 0 },
]

class UsageError extends Error {}

function readArguments() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        records: { type: 'string' },
        keys: { type: 'string', default: '100000' },
        parallelism: { type: 'string', default: '2' },
        taskmanagers: { type: 'string', default: '1' },
        checkpoint: { type: 'string', default: '1 s' },
        'profile-dir': { type: 'string' },
        victim: { type: 'string' },
        signal: { type: 'string' },
        unsupervised: { type: 'boolean' },
        'state-mb': { type: 'string' },
        quick: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    })
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
}
type Values = ReturnType<typeof readArguments>['values']

/** The runs of a name. */
function runsOf(name: string, values: Values): readonly (() => Promise<void>)[] {
  const print = (result: object) => void process.stdout.write(`${JSON.stringify(result, undefined, values.json ? undefined : 2)}\n`)
  if (Object.hasOwn(DEFAULT_RECORDS, name)) return [async () => print(await runClusterBench(clusterOptions(name as Job, values)))]
  if (name === 'failover') return failovers(values).map((options) => async () => print(await runFailoverBench(options)))
  return [async () => runPart(name, values.quick)]
}

function clusterOptions(job: Job, values: Values) {
  const { 'profile-dir': profileDir, checkpoint } = values
  return {
    job,
    records: values.records === undefined ? DEFAULT_RECORDS[job] : count('records', values.records),
    keys: count('keys', values.keys),
    parallelism: count('parallelism', values.parallelism),
    taskManagers: count('taskmanagers', values.taskmanagers),
    checkpointInterval: checkpoint,
    ...(profileDir === undefined ? {} : { profileDir }),
  }
}

/** All, or the one that the options say. */
function failovers(values: Values): readonly FailoverOptions[] {
  const { victim, signal, unsupervised, 'state-mb': stateMb } = values
  if (victim === undefined && signal === undefined && unsupervised === undefined && stateMb === undefined) return FAILOVERS
  return [
    {
      victim: oneOf('victim', ['leader', 'taskmanager', 'slot'], victim ?? 'leader'),
      signal: oneOf('signal', ['SIGKILL', 'SIGTERM'], signal ?? 'SIGKILL'),
      supervised: unsupervised !== true,
      stateMb: stateMb === undefined ? 0 : count('state-mb', stateMb),
    },
  ]
}

/** In a process of its own: one part's garbage and compiled code must not weigh on the next. */
function runPart(name: string, quick: boolean): void {
  const args = ['--expose-gc', join(import.meta.dirname, `${name}.bench.js`), ...(quick ? BENCHMARKS[name]!.quick! : [])]
  const { status, signal } = spawnSync(process.execPath, args, { stdio: 'inherit' })
  if (status !== 0) throw new Error(`${name} ended with ${status ?? signal}`)
}

function count(option: string, text: string): number {
  const number = Number(text)
  if (!Number.isSafeInteger(number) || number < 1) throw new UsageError(`--${option} takes a whole number from 1 on, not '${text}'`)
  return number
}
function oneOf<T extends string>(option: string, allowed: readonly T[], text: string): T {
  if (!(allowed as readonly string[]).includes(text)) throw new UsageError(`--${option} is ${allowed.join(' or ')}, not '${text}'`)
  return text as T
}

async function main(): Promise<void> {
  const { positionals, values } = readArguments()
  if (values.help) return void process.stdout.write(USAGE)
  const unknown = positionals.find((name) => !Object.hasOwn(BENCHMARKS, name))
  if (unknown !== undefined) throw new UsageError(`unknown benchmark '${unknown}': ${Object.keys(BENCHMARKS).join(', ')}`)
  clusterOptions('chain', values) // A mistake is told before anything runs.
  failovers(values)
  const names = positionals.length > 0 ? positionals : Object.keys(BENCHMARKS)
  for (const name of names)
    for (const run of runsOf(name, values))
      await run().catch((error: unknown) => {
        process.stderr.write(`bench: ${name} failed: ${(error as Error).stack}\n`)
        process.exitCode = 1 // The others run all the same.
      })
}

main().catch((error: unknown) => {
  const isUsage = error instanceof UsageError
  process.stderr.write(isUsage ? `bench: ${error.message}\n--help lists names and options\n` : `${(error as Error).stack}\n`)
  process.exitCode = isUsage ? EXIT_USAGE : 1
})
