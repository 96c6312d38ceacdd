#!/usr/bin/env node
/** The command line. Data on stdout, messages on stderr; exit codes are in exit-codes.ts. */
import { readFileSync } from 'node:fs'
import yargs, { type Argv } from 'yargs'
import { systemClock } from '#core/clock.js'
import { nearest } from '#core/config/nearest.js'
import { printConfigYaml, printOptionsMarkdown } from '#core/config/print-options.js'
import { isOptionKey, KNOWN_KEYS, type LoadedConfig, settingText } from '#core/config/resolve-config.js'
import { ERRORS, FlottError, isFlottError } from '#core/errors.js'
import { isId } from '#core/ids.js'
import { printErrorsMarkdown } from '#core/print-errors.js'
import { parseCheckpointPath } from '#protocol/checkpoint/checkpoint-path.js'
import { graphOfProgram, type ProgramOptions } from '../submit/program-runner.js'
import type { RestClusterClient } from '../submit/rest-cluster-client.js'
import { cancel } from './cancel.js'
import { optionWithoutValue, splitCommandLine, spreadDynamic } from './command-line.js'
import { type ClusterOptions, connectToCluster, jobSettings, loadClientConfig, settingsOfTexts } from './connect.js'
import { drain } from './drain.js'
import { EXIT, exitCodeOf, printExitCodes } from './exit-codes.js'
import { fsck, fsckDirectory, gc } from './fsck.js'
import { list } from './list.js'
import { resetInSyncSet } from './reset-in-sync.js'
import { dispose, listRetained } from './retained.js'
import { describeError, namingProgram, refuseMissing, run } from './run.js'
import { status } from './status.js'
import { processTerminal } from './terminal.js'

const ACTIONS = ['run', 'info', 'list', 'status', 'cancel', 'savepoint', 'drain', 'fsck', 'gc', 'reset-in-sync', 'config', 'completion']
const EXPECTS: Readonly<Record<string, string>> = {
  run: 'a program',
  info: 'a program',
  cancel: 'the id of a job',
  drain: 'the id of a TaskManager',
}
const OPTION_NAMES = [
  'jobmanager',
  'zookeeperNamespace',
  'json',
  'parallelism',
  'detached',
  'shutdownOnAttachedExit',
  'running',
  'scheduled',
  'all',
  'retained',
  'fromSavepoint',
  'allowNonRestoredState',
  'dispose',
  'repair',
  'data-dir',
  'dry-run',
  'yes-lose-data',
  'template',
  'markdown',
  'errors',
]
const terminal = processTerminal()
const { own, programArgs } = splitCommandLine(process.argv.slice(2))

interface CommonArguments {
  readonly jobmanager?: string | undefined
  readonly zookeeperNamespace?: string | undefined
  readonly D?: readonly string[] | undefined
  readonly json: boolean
  readonly parallelism?: number | undefined
}

/** An option given twice: the last one counts. */
function last<V>(value: V | readonly V[]): V {
  return Array.isArray(value) ? (value.at(-1) as V) : (value as V)
}
function common<T>(command: Argv<T>) {
  return command
    .option('jobmanager', {
      alias: 'm',
      type: 'string',
      requiresArg: true,
      coerce: last<string | undefined>,
      describe: 'REST address: host:port or a URL, or several with commas',
    })
    .option('zookeeperNamespace', {
      alias: 'z',
      type: 'string',
      requiresArg: true,
      coerce: last<string | undefined>,
      describe: 'Over high-availability.cluster-id',
    })
    .option('D', {
      type: 'string',
      array: true,
      nargs: 1,
      requiresArg: true,
      describe: 'key=value: a configuration key, over conf/config.yaml',
    })
    .option('json', { type: 'boolean', default: false, describe: 'Machine-readable output on stdout' })
}
function parallelism<T>(command: Argv<T>) {
  return command
    .option('parallelism', {
      alias: 'p',
      type: 'number',
      requiresArg: true,
      coerce: last<number | undefined>,
      describe: 'Over parallelism.default',
    })
    .check(({ parallelism: p }) => {
      if (p !== undefined && !(Number.isInteger(p) && p > 0))
        throw new FlottError('INVALID_ARGUMENT', '--parallelism (-p) expects a whole number above 0')
      return true
    })
}
function clusterOptions(argv: CommonArguments): ClusterOptions {
  return { jobmanager: argv.jobmanager, zookeeperNamespace: argv.zookeeperNamespace, dynamic: argv.D ?? [] }
}
async function withCluster(
  argv: CommonArguments,
  use: (client: RestClusterClient, config: LoadedConfig['config']) => Promise<number | void>,
): Promise<number> {
  const loaded = loadClientConfig(clusterOptions(argv))
  const client = await connectToCluster(clusterOptions(argv), loaded, terminal)
  try {
    return (await use(client, loaded.config)) ?? EXIT.OK
  } finally {
    await client.close()
  }
}
function programOptions(argv: CommonArguments & { file: string }): ProgramOptions {
  const { explicit } = loadClientConfig(clusterOptions(argv))
  const overrides = jobSettings(settingsOfTexts(argv.D ?? []))
  if (argv.parallelism !== undefined) overrides['parallelism.default'] = String(argv.parallelism)
  return { file: argv.file, args: programArgs, defaults: jobSettings(explicit), overrides }
}
/** With what -s and -n stand for. */
function startingFrom(
  argv: CommonArguments & { file: string; fromSavepoint?: string | undefined; allowNonRestoredState: boolean },
): ProgramOptions {
  const { fromSavepoint: path, allowNonRestoredState } = argv
  if (path !== undefined) parseCheckpointPath(path, '--fromSavepoint (-s)')
  const options = programOptions(argv)
  const recovery = {
    ...(path === undefined ? {} : { 'execution.state-recovery.path': path }),
    ...(allowNonRestoredState ? { 'execution.state-recovery.ignore-unclaimed-state': 'true' } : {}),
  }
  return { ...options, overrides: { ...options.overrides, ...recovery } }
}
function jobIdOf(text: string): string {
  if (!isId(text)) throw new FlottError('INVALID_ARGUMENT', `'${text}' is not a job id: 32 hex digits`)
  return text
}

let exitCode: Promise<number> = Promise.resolve(EXIT.OK)
const parser = yargs(spreadDynamic(own))
  .scriptName('flott')
  .parserConfiguration({
    'short-option-groups': false,
    'dot-notation': false,
    'parse-positional-numbers': false,
  })
  .usage('$0 <action> [options]\n\nRuns programs on a Flott cluster and looks after them.')
  .command(
    'run <file>',
    'Run a program: TypeScript or JavaScript; what follows the file is its own',
    (command) =>
      parallelism(common(command))
        .positional('file', { type: 'string', demandOption: true, describe: 'The program' })
        .option('detached', { alias: 'd', type: 'boolean', default: false, describe: 'Return after the submission' })
        .option('shutdownOnAttachedExit', { alias: 'sae', type: 'boolean', default: false, describe: 'Attached: Ctrl-C cancels the job' })
        .option('fromSavepoint', {
          alias: 's',
          type: 'string',
          requiresArg: true,
          coerce: last<string | undefined>,
          describe: 'Start from a retained checkpoint: flott:/JOB/chk-N, or the id of a job for its newest',
        })
        .option('allowNonRestoredState', {
          alias: 'n',
          type: 'boolean',
          default: false,
          describe: 'Leave state behind that the program has no operator for',
        }),
    (argv) => {
      exitCode = withCluster(argv, (client) => {
        const { config } = loadClientConfig(clusterOptions(argv))
        const detached = argv.detached || !config['execution.attached']
        const shutdownOnAttachedExit = argv.shutdownOnAttachedExit || config['execution.shutdown-on-attached-exit']
        const { json } = argv
        return run(client, { ...startingFrom(argv), detached, shutdownOnAttachedExit, json }, terminal, systemClock)
      })
    },
  )
  .command(
    'info <file>',
    'Print the plan of a program as JSON, without running it',
    (command) => parallelism(common(command)).positional('file', { type: 'string', demandOption: true, describe: 'The program' }),
    (argv) => {
      exitCode = info(programOptions(argv), argv.json)
    },
  )
  .command(
    'list',
    'List jobs: those that run and those that wait',
    (command) =>
      common(command)
        .option('running', { alias: 'r', type: 'boolean', default: false, describe: 'Only those that run or restart' })
        .option('scheduled', { alias: 's', type: 'boolean', default: false, describe: 'Only those that wait' })
        .option('all', { alias: 'a', type: 'boolean', default: false, describe: 'Those that have ended, too' })
        .option('retained', { type: 'boolean', default: false, describe: 'Instead of jobs the checkpoints that ended ones have left' })
        .check(({ retained, running, scheduled, all }) => {
          if (retained && (running || scheduled || all))
            throw new FlottError('INVALID_ARGUMENT', '--retained lists checkpoints, and takes none of -r, -s and -a')
          return true
        }),
    (argv) => {
      exitCode = withCluster(argv, (client) => (argv.retained ? listRetained(client, argv.json, terminal) : list(client, argv, terminal)))
    },
  )
  .command(
    'status [job]',
    'Show the cluster, or one job',
    (command) => common(command).positional('job', { type: 'string', describe: 'Job id' }),
    (argv) => {
      exitCode = withCluster(argv, (client) => status(client, argv.job === undefined ? undefined : jobIdOf(argv.job), argv.json, terminal))
    },
  )
  .command(
    'cancel <job>',
    'Cancel a job; its checkpoints are kept',
    (command) => common(command).positional('job', { type: 'string', demandOption: true, describe: 'Job id' }),
    (argv) => {
      exitCode = withCluster(argv, (client, config) =>
        cancel(client, jobIdOf(argv.job), { json: argv.json, timeoutMs: config['client.timeout'] }, terminal, systemClock),
      )
    },
  )
  .command(
    'savepoint',
    'Dispose of a retained checkpoint',
    (command) =>
      common(command)
        .option('dispose', {
          alias: 'd',
          type: 'string',
          requiresArg: true,
          coerce: last<string>,
          describe: 'flott:/JOB/chk-N, or the id of a job for all that it has left',
        })
        .demandOption('dispose', 'flott savepoint only disposes of what is there: say which checkpoint with --dispose (-d)'),
    (argv) => {
      parseCheckpointPath(argv.dispose, '--dispose (-d)')
      exitCode = withCluster(argv, (client) => dispose(client, argv.dispose, argv.json, terminal))
    },
  )
  .command(
    'drain <taskmanager>',
    'Move the tasks of a TaskManager to others after a checkpoint, then end it; at taskmanager.drain.timeout it ends anyway',
    (command) =>
      common(command).positional('taskmanager', { type: 'string', demandOption: true, describe: 'Id, as flott status shows it' }),
    (argv) => {
      exitCode = withCluster(argv, (client) => drain(client, argv.taskmanager, argv.json, terminal, systemClock))
    },
  )
  .command(
    'fsck',
    'Check that each disk has all that the cluster names, reading every byte',
    (command) =>
      common(command)
        .option('repair', { type: 'boolean', default: false, describe: 'Fetch what is missing or damaged from another disk' })
        .option('data-dir', {
          type: 'string',
          requiresArg: true,
          coerce: last<string | undefined>,
          describe: 'Check the directory of a stopped JobManager instead',
        }),
    (argv) => {
      const directory = argv['data-dir']
      if (directory !== undefined && argv.repair) throw new FlottError('INVALID_ARGUMENT', '--repair needs the cluster, not --data-dir')
      exitCode =
        directory === undefined
          ? withCluster(argv, (client) => fsck(client, argv, terminal))
          : fsckDirectory(directory, argv.json, terminal)
    },
  )
  .command(
    'gc',
    'Remove blobs that nothing has named for an hour',
    (command) => common(command).option('dry-run', { type: 'boolean', default: false, describe: 'Only say what would be removed' }),
    (argv) => {
      exitCode = withCluster(argv, (client) => gc(client, { dryRun: argv['dry-run'], json: argv.json }, terminal))
    },
  )
  .command(
    'reset-in-sync',
    'When all disks of the in-sync set are lost: let the JobManager at -m lead with what it has',
    (command) =>
      common(command)
        .option('yes-lose-data', { type: 'boolean', default: false, describe: 'Do it; else only say what would be lost' })
        .demandOption('jobmanager', 'which JobManager is to lead? Give its REST address with --jobmanager (-m)'),
    (argv) => {
      const { config } = loadClientConfig(clusterOptions(argv))
      const options = { loseData: argv['yes-lose-data'], json: argv.json }
      exitCode = withCluster(argv, (client) => resetInSyncSet(client, config, options, terminal))
    },
  )
  .command(
    'config [key..]',
    'Print the effective value of each key; without keys, all that is set',
    (command) =>
      common(command)
        .positional('key', { type: 'string', array: true, describe: 'Configuration keys' })
        .option('template', { type: 'boolean', default: false, describe: 'A config.yaml with every key and its default' })
        .option('markdown', { type: 'boolean', default: false, describe: 'The table of all keys' })
        .option('errors', { type: 'boolean', default: false, describe: 'The table of all error codes' }),
    (argv) => {
      exitCode = printConfig(argv, argv.key ?? [])
    },
  )
  .completion('completion', 'Print a script that completes commands and options, for bash or zsh')
  .demandCommand(1, 1, `specify an action: ${ACTIONS.join(', ')}`)
  .strict()
  .help()
  .alias('help', 'h')
  .version(versionOf())
  .alias('version', 'v')
  .epilogue(`Exit codes: ${printExitCodes()}.`)
  .fail((message, error) => {
    const incomplete = optionWithoutValue(own)
    if (error && incomplete === undefined) throw error
    throw new FlottError('INVALID_ARGUMENT', incomplete ?? withNearest(message))
  })

async function info(options: ProgramOptions, json: boolean): Promise<number> {
  refuseMissing(options.file)
  const { jobGraph } = await namingProgram(options.file, () => graphOfProgram(options))
  terminal.out(JSON.stringify(jobGraph, undefined, json ? undefined : 2))
  return EXIT.OK
}

async function printConfig(
  argv: CommonArguments & { template: boolean; markdown: boolean; errors: boolean },
  keys: readonly string[],
): Promise<number> {
  const print = argv.template ? printConfigYaml : argv.markdown ? printOptionsMarkdown : argv.errors ? printErrorsMarkdown : undefined
  if (print) {
    terminal.out(print().trimEnd())
    return EXIT.OK
  }
  const { explicit } = loadClientConfig(clusterOptions(argv))
  const asked = keys.map((key): [string, string] => {
    if (isOptionKey(key)) return [key, settingText(key, explicit)]
    throw new FlottError('INVALID_ARGUMENT', `unknown key '${key}'; did you mean ${nearest(key, KNOWN_KEYS) ?? 'another'}?`)
  })
  if (argv.json) terminal.out(JSON.stringify(keys.length === 0 ? explicit : Object.fromEntries(asked)))
  else if (keys.length === 0) for (const [key, value] of Object.entries(explicit)) terminal.out(`${key}: ${value}`)
  else for (const [, value] of asked) terminal.out(value)
  return EXIT.OK
}

/** What the parser does not know, with the action or option that was probably meant. */
function withNearest(message: string): string {
  const [word] = own
  if (word === undefined) return message
  if (message.startsWith('Not enough non-option arguments') && EXPECTS[word]) return `flott ${word} expects ${EXPECTS[word]}`
  const unknown = /^Unknown arguments?: ([^\s,]+)/.exec(message)?.[1]
  const found = !ACTIONS.includes(word) ? nearest(word, ACTIONS) : unknown === undefined ? undefined : nearestOption(unknown)
  return found === undefined ? message : `${message}; did you mean ${found}?`
}
function nearestOption(name: string): string | undefined {
  const found = nearest(name, OPTION_NAMES)
  return found === undefined ? undefined : `--${found}`
}
function versionOf(): string {
  const { version } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as { version: string }
  return version
}
function report(error: unknown): void {
  terminal.note(describeError(error))
  if (!isFlottError(error)) return
  if (error.code === 'INVALID_ARGUMENT') terminal.note('flott --help, or flott <action> --help, says more.')
  else terminal.note(ERRORS[error.code].doc)
}

try {
  await parser.parseAsync()
  process.exitCode = await exitCode
} catch (error) {
  report(error)
  process.exitCode = exitCodeOf(error)
}
// What a program left running (timers, sockets) must not hold the command.
process.exit()
