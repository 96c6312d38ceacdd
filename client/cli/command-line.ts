/** What belongs to flott and what to the program: all that follows the job file is the program's, whatever it looks like. */
const WITH_VALUE = new Set([
  '-p',
  '--parallelism',
  '-D',
  '-m',
  '--jobmanager',
  '-z',
  '--zookeeperNamespace',
  '-c',
  '--class',
  '-t',
  '--target',
  '-s',
  '--fromSavepoint',
  '--dispose',
  '--data-dir',
])

export interface SplitCommandLine {
  /** For the option parser; the job file included. */
  readonly own: readonly string[]
  readonly programArgs: readonly string[]
}

export function splitCommandLine(argv: readonly string[]): SplitCommandLine {
  if (argv[0] !== 'run' && argv[0] !== 'info') return { own: argv, programArgs: [] }
  for (let i = 1; i < argv.length; i++) {
    const argument = argv[i]!
    if (argument === '--') return { own: argv.slice(0, i).concat(argv.slice(i + 1, i + 2)), programArgs: argv.slice(i + 2) }
    if (!argument.startsWith('-')) return { own: argv.slice(0, i + 1), programArgs: argv.slice(i + 1) }
    if (WITH_VALUE.has(argument)) i++
  }
  return { own: argv, programArgs: [] }
}

/** '-Dkey=value' as '-D', 'key=value', which the parser knows. */
export function spreadDynamic(argv: readonly string[]): readonly string[] {
  return argv.flatMap((argument) => (/^-D.+=/.test(argument) ? ['-D', argument.slice(2)] : [argument]))
}

/** What is wrong when the command line ends with an option that takes a value. */
export function optionWithoutValue(own: readonly string[]): string | undefined {
  const last = own.at(-1)
  const isIncomplete = last !== undefined && (WITH_VALUE.has(last) || (own[0] === 'savepoint' && last === '-d'))
  return isIncomplete ? `${last} expects a value` : undefined
}
