/** What must be known of this run of the program to evaluate it again in a slot: arguments, time, chance, values made once, earlier results. */
import { systemClock } from '#core/clock.js'
import { FlottError } from '#core/errors.js'
import { between, systemRandom } from '#core/random.js'
import type { ProgramSpec } from '#protocol/graph/job-graph.js'
import { RECORDED_RECORDS_MAX, type RecordedJob } from './earlier-job.js'
import type { ClusterJobClient } from './job-client.js'
import type { JobExecutor } from './job-executor.js'

/** Only these reach a program that is evaluated in a slot; secrets are read in open(), from the TaskManager's own environment. */
const ALLOWED_ENVIRONMENT = /^(FLOTT_JOB_\w+|NODE_ENV|TZ)$/

export interface ProgramSessionOptions {
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string | undefined>>
  readonly clockMs: number
  readonly randomSeed: number
  /** `flott run` says where jobs go; undefined in a plain program. */
  readonly executor?: JobExecutor
}

export class ProgramSession {
  readonly #once: Record<string, unknown> = {}
  readonly #jobs: RecordedJob[] = []
  readonly #started: (() => void)[] = []
  constructor(readonly options: ProgramSessionOptions) {}

  /** How many jobs the program has begun. */
  get executed(): number {
    return this.#jobs.length
  }
  /** Takes the number of the job that begins now. */
  begin(): number {
    this.#jobs.push({ jobId: '' })
    for (const started of this.#started.splice(0)) started()
    return this.#jobs.length - 1
  }
  /** Resolves once the program has begun a job. */
  begun(): Promise<void> {
    return this.executed > 0 ? Promise.resolve() : new Promise((resolve) => this.#started.push(resolve))
  }
  /** What the slots of later jobs see of this one. */
  record(executeIndex: number, known: Partial<RecordedJob>): void {
    this.#jobs[executeIndex] = { ...this.#jobs[executeIndex]!, ...known }
  }
  observer(executeIndex: number): ClusterJobClient['observer'] {
    return {
      ended: (result) => this.record(executeIndex, { result }),
      collected: (operatorId, records) => {
        const { collected = {} } = this.#jobs[executeIndex]!
        const before = collected[operatorId] === undefined ? [] : collected[operatorId]
        const tooMany = before === null || before.length + records.length > RECORDED_RECORDS_MAX
        this.record(executeIndex, { collected: { ...collected, [operatorId]: tooMany ? null : [...before, ...records] } })
      },
    }
  }
  once<T>(name: string, compute: () => T): T {
    if (!Object.hasOwn(this.#once, name)) {
      const text = JSON.stringify(compute()) as string | undefined
      if (text === undefined) throw new FlottError('INVALID_ARGUMENT', `env.once('${name}') must give a JSON value`)
      this.#once[name] = JSON.parse(text)
    }
    return this.#once[name] as T
  }
  spec(executeIndex: number, jobArgs: unknown): ProgramSpec {
    const { args, env, clockMs, randomSeed } = this.options
    const allowed = Object.entries(env).filter(
      (entry): entry is [string, string] => ALLOWED_ENVIRONMENT.test(entry[0]) && entry[1] !== undefined,
    )
    return {
      args,
      // Relative paths of a program are those of the client.
      env: { ...Object.fromEntries(allowed), PWD: process.cwd() },
      clockMs,
      randomSeed,
      once: { ...this.#once },
      executeIndex,
      earlierResults: this.#jobs.slice(0, executeIndex),
      ...(jobArgs === undefined ? {} : { jobArgs }),
    }
  }
}

let current: ProgramSession | undefined

/** Of this process: made when a program first asks for an environment, unless `flott run` has opened one. */
export function programSession(): ProgramSession {
  current ??= new ProgramSession({
    args: process.argv.slice(2),
    env: process.env,
    clockMs: systemClock.now(),
    randomSeed: between(systemRandom, 0, 2 ** 32),
  })
  return current
}
export function openProgramSession(options: ProgramSessionOptions): ProgramSession {
  current = new ProgramSession(options)
  return current
}
export function closeProgramSession(): void {
  current = undefined
}
