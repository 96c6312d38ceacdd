/**
 * npm run -s sim -- --seed N [--steps M]             prints the history of one seed
 * npm run -s sim -- --seed N --count C [--steps M]   runs C seeds from N on; prints those that fail, and what the runs were like
 * Also: --faults 'pause,session expires' (only these), --shape pulled (of the job), --broken RULE (as broken-rules.ts says), --operator (all in-sync disks
 * are lost, and an operator lets another one lead).
 */
import { spawnSync } from 'node:child_process'
import { parseArgs } from 'node:util'
import { BROKEN_RULES, type BrokenRule } from './broken-rules.js'
import { type SimulationResult, simulate } from './simulation.js'
import type { SHAPES } from './workloads.js'

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    steps: { type: 'string' },
    count: { type: 'string' },
    faults: { type: 'string' },
    shape: { type: 'string' },
    operator: { type: 'boolean', default: false },
    broken: { type: 'string', multiple: true, default: [] },
  },
})
/** Seeds of one process. */
const PART = 2_000
const print = (line: string) => void process.stdout.write(`${line}\n`)
const first = Number(values.seed)
const common = {
  ...(values.faults === undefined ? {} : { faults: values.faults.split(',') }),
  ...(values.shape === undefined ? {} : { shape: values.shape as keyof typeof SHAPES }),
  ...(values.steps === undefined ? {} : { steps: Number(values.steps) }),
  operator: values.operator,
  broken: values.broken.map((rule) => {
    if (!Object.hasOwn(BROKEN_RULES, rule)) throw new Error(`no rule ${rule}: ${Object.keys(BROKEN_RULES).join(', ')}`)
    return rule as BrokenRule
  }),
}

async function sweep(count: number): Promise<number> {
  const faults = new Map<string, number>()
  let failed = 0
  let simulatedMs = 0
  let checkpoints = 0
  let overrides = 0
  for (let seed = first; seed < first + count; seed++) {
    const result = await simulate({ ...common, seed })
    simulatedMs += result.simulatedMs
    checkpoints += result.checkpoints
    overrides += result.overrides
    for (const name of result.faults) faults.set(name, (faults.get(name) ?? 0) + 1)
    if (result.problem === undefined) continue
    failed++
    print(failureOf(result))
  }
  const { user, system } = process.cpuUsage()
  const seconds = ((user + system) / 1e6).toFixed(1)
  print(
    `${count} seeds, ${failed} failed; ${seconds} CPU s, ${(simulatedMs / 3_600_000).toFixed(1)} simulated hours, ${checkpoints} checkpoints, ${overrides} overrides`,
  )
  print([...faults].map(([name, times]) => `${name}: ${times}`).join(', '))
  return failed
}

/** Processes that died in a history leave listeners of their signals behind, and with them the whole history: about half a megabyte a seed. */
function inParts(count: number): number {
  let exitCode = 0
  for (let from = first; from < first + count; from += PART) {
    const own = ['--seed', String(from), '--count', String(Math.min(PART, first + count - from))]
    const { status } = spawnSync(process.execPath, [...process.argv.slice(1), ...own], { stdio: 'inherit' }) // Of two options the last counts.
    exitCode ||= status ?? 1
  }
  return exitCode
}

function failureOf({ seed, problem, faults }: SimulationResult): string {
  return `seed ${seed}: ${problem}   (${faults.join(', ')})`
}

process.on('unhandledRejection', (error) => {
  print(`nobody handled: ${error instanceof Error ? error.stack : String(error)}`)
  process.exitCode = 1
})
if (Number(values.count) > PART) process.exitCode = inParts(Number(values.count))
else if (values.count !== undefined) process.exitCode = (await sweep(Number(values.count))) > 0 ? 1 : 0
else {
  const result = await simulate({ ...common, seed: first })
  for (const line of result.log) print(line)
  print(result.problem === undefined ? `seed ${first}: nothing found` : failureOf(result))
  process.exitCode = result.problem === undefined ? 0 : 1
}
