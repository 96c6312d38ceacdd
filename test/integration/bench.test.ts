/** The benchmarks run: small ones as a whole, and what is wrong with a command line is said. Figures are not looked at. */
import test from 'ava'
import { BENCHMARKS } from '../bench/benchmarks.js'
import { runCommand } from '../support/command.js'

const bench = (...args: string[]) => runCommand(process.execPath, ['dist/test/bench/main.js', ...args])

test('a line of JSON for each name', async (t) => {
  const { code, stdout, stderr } = await bench('adoption', 'scheduling', '--quick', '--json')
  t.is(code, 0, stderr)
  const lines = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { name: string; tasks: number })
  t.deepEqual(
    lines.map(({ name, tasks }) => [name, tasks]),
    [
      ['adoption', 40],
      ['scheduling', 200],
    ],
  )
})

const MISTAKES: readonly (readonly [args: readonly string[], message: RegExp])[] = [
  [['chian'], /unknown benchmark 'chian': chain, keyed, /],
  [['--recrods', '1'], /Unknown option '--recrods'/],
  [['chain', '--records', '0'], /--records takes a whole number from 1 on, not '0'/],
  [['failover', '--victim', 'jobmanager'], /--victim is leader or taskmanager or slot, not 'jobmanager'/],
]
for (const [args, message] of MISTAKES)
  test(`bench ${args.join(' ')}`, async (t) => {
    const { code, stdout, stderr } = await bench(...args)
    t.is(code, 2)
    t.is(stdout, '')
    t.regex(stderr, message)
  })

test('--help names all', async (t) => {
  const { code, stdout } = await bench('--help')
  t.is(code, 0)
  for (const name of Object.keys(BENCHMARKS)) t.true(stdout.includes(`  ${name} `), name)
})
