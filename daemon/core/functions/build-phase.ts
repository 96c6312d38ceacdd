/**
 * The registry by which user code reaches a worker. While a program is evaluated in a worker, a build phase is open: the API's
 * `execute()` hands what it built to it instead of submitting. One program is evaluated in a thread at a time.
 */
import type { EdgeDefinition, OperatorDefinition } from './operator-definition.js'

export interface BuiltProgram {
  readonly jobName: string
  readonly fingerprint: string
  /** Lines that say what the fingerprint was made of, to name the first difference. */
  readonly fingerprintParts: readonly string[]
  readonly operators: ReadonlyMap<string, OperatorDefinition>
  readonly edges: ReadonlyMap<string, EdgeDefinition>
}

export interface BuildPhase {
  /** What env.once returned at the client. */
  readonly once: Readonly<Record<string, unknown>>
  readonly executeIndex: number
  readonly earlierResults: readonly unknown[]
  readonly args: readonly string[]
  readonly jobArgs?: unknown
  /** Called by the execute() whose index is executeIndex. */
  built(program: BuiltProgram): void
}

/** On the default export that defineJob makes: how a worker evaluates a job that is a module. */
export const JOB_ENTRY = Symbol.for('flott.job')
export interface JobEntry {
  /** Executes the job with these arguments: in a build phase, hands it over and never settles. */
  evaluate(args: unknown): Promise<unknown>
}

const KEY = Symbol.for('flott.build-phase')
type Holder = { [KEY]?: BuildPhase | undefined }

/** Undefined outside of a worker's build phase: at a client, or in a plain program. Held on globalThis, so that it does not depend on module identity. */
export function currentBuildPhase(): BuildPhase | undefined {
  return (globalThis as Holder)[KEY]
}
export function enterBuildPhase(phase: BuildPhase): void {
  ;(globalThis as Holder)[KEY] = phase
}
export function leaveBuildPhase(): void {
  ;(globalThis as Holder)[KEY] = undefined
}
