/** Programs in processes of their own, run by plain `node` to their end. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { resolve } from 'node:path'

export interface ProgramResult {
  /** null when a signal ended it. */
  readonly code: number | null
  readonly signal: string | null
  readonly stdout: string
  readonly stderr: string
}
export interface RunningProgram {
  readonly process: ChildProcess
  readonly result: Promise<ProgramResult>
  /** Resolves once standard output holds the text. */
  printed(text: string): Promise<void>
}
export interface ProgramPlace {
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string>>
}

/** What does not end by itself within this time is killed, and its result says so. */
const ENDS_WITHIN_MS = 100_000

export function startCommand(command: string, args: readonly string[], { cwd, env }: ProgramPlace = {}): RunningProgram {
  const child = spawn(command, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
    ...(cwd === undefined ? {} : { cwd }),
  })
  let [stdout, stderr] = ['', '']
  const waiting: { text: string; resolve: () => void }[] = []
  child.stdout!.on('data', (data) => {
    stdout += String(data)
    for (const { text, resolve } of waiting) if (stdout.includes(text)) resolve()
  })
  child.stderr!.on('data', (data) => (stderr += String(data)))
  const timer = setTimeout(() => child.kill('SIGKILL'), ENDS_WITHIN_MS)
  const result = once(child, 'close').then(([code, signal]) => {
    clearTimeout(timer)
    return { code: code as number | null, signal: signal as string | null, stdout, stderr }
  })
  const printed = (text: string) => {
    const seen = new Promise<void>((resolve) => (stdout.includes(text) ? resolve() : waiting.push({ text, resolve })))
    const ended = result.then(({ stderr }) => {
      if (!stdout.includes(text)) throw new Error(`the program ended before it printed '${text}': ${stderr}`)
    })
    return Promise.race([seen, ended])
  }
  return { process: child, result, printed }
}

/** A program of test/integration/programs, compiled. */
export function startProgram(name: string, args: readonly string[] = [], place: ProgramPlace = {}): RunningProgram {
  return startCommand(process.execPath, [resolve(`dist/test/integration/programs/${name}.js`), ...args], place)
}
export function runProgramToEnd(name: string, args: readonly string[] = [], place: ProgramPlace = {}): Promise<ProgramResult> {
  return startProgram(name, args, place).result
}
