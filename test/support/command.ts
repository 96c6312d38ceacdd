/** A program of this project as a process, to its end or while it runs. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { resolve } from 'node:path'
import type { CommandResult } from './process-cluster.js'

export interface CommandOptions {
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
}
export interface RunningCommand {
  readonly process: ChildProcess
  readonly result: Promise<CommandResult>
  /** What it has printed so far, both streams. */
  output(): string
}

/** `file` is a path of the project, such as bin/flott, or an absolute one. */
export function startCommand(file: string, args: readonly string[], options: CommandOptions = {}): RunningCommand {
  const child = spawn(resolve(file), args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    cwd: options.cwd ?? process.cwd(),
    env: { ...process.env, ...options.env },
  })
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (data) => (stdout += String(data)))
  child.stderr.on('data', (data) => (stderr += String(data)))
  const result = once(child, 'close').then(([code]) => ({ code: code as number, stdout, stderr }))
  return { process: child, result, output: () => stdout + stderr }
}
export function runCommand(file: string, args: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
  return startCommand(file, args, options).result
}
/** A daemon's process in the foreground. */
export function startDaemon(
  kind: 'jobmanager' | 'taskmanager',
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): RunningCommand {
  return startCommand(process.execPath, [resolve(`dist/daemon/${kind}/main.js`), ...args], { env })
}
