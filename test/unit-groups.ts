/**
 * AVA starts a process for each test file, which costs more than most unit tests: this writes two files that import the others, and
 * prints what to run instead of test/unit. Files that need a process of their own (snapshots, hooks, process-wide state) stay alone.
 * `npx ava dist/test/unit/….test.js` still runs one by itself.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

const HERE = dirname(fileURLToPath(import.meta.url))
const GROUPED = join(HERE, 'grouped')
const GROUPS = 2
const NEEDS_OWN_PROCESS =
  /\bt\.snapshot\(|test\.(before|after)Each|openProgramSession|process\.(argv|cwd)|enterBuild|runProgram|graphOfProgram/

/** Histories from many seeds: seconds each, so `npm run check` (--quick) leaves them to `npm test`. */
const SEEDED = /(model|codec|source-coordinators|simulated-election|replicating-blob-store|window)\.test\.js$/

const quick = process.argv.includes('--quick')
const files = (readdirSync(join(HERE, 'unit'), { recursive: true }) as string[])
  .filter((file) => file.endsWith('.test.js') && !(quick && SEEDED.test(file)))
  .sort()
const alone = files.filter((file) => NEEDS_OWN_PROCESS.test(readFileSync(join(HERE, 'unit', file), 'utf8')))
const together = files.filter((file) => !alone.includes(file))

rmSync(GROUPED, { recursive: true, force: true })
mkdirSync(GROUPED)
const groups = Array.from({ length: GROUPS }, (_, group) => {
  const path = join(GROUPED, `units-${group + 1}.test.js`)
  const members = together.filter((_, i) => i % GROUPS === group)
  writeFileSync(path, members.map((file) => `import '../unit/${file}'\n`).join(''))
  return path
})
const paths = [...groups, ...alone.map((file) => join(HERE, 'unit', file))]
process.stdout.write(`${paths.map((path) => relative(process.cwd(), path)).join('\n')}\n`)
