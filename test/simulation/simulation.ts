/** One seed: a cluster, its jobs, its faults, and what was found wrong. */
import { between, pick, seededRandom } from '#core/random.js'
import type { BrokenRule } from './broken-rules.js'
import { type Carelessness, CommittedOutput } from './committed-output.js'
import { FAULTS, pickFault } from './faults.js'
import { Operator } from './operator.js'
import { SimulatedCluster } from './simulated-cluster.js'
import { SHAPES, type Workload } from './workloads.js'
import { TIMING } from './world.js'

export interface SimulationOptions {
  readonly seed: number
  /** How many faults; by the seed where it is absent. */
  readonly steps?: number
  readonly broken?: readonly BrokenRule[]
  /** Only these happen. */
  readonly faults?: readonly string[]
  /** Of its one job; by the seed where it is absent. */
  readonly shape?: keyof typeof SHAPES
  /** All disks of the in-sync set are lost at some time, and an operator lets another one lead; and tries so when it is wrong. */
  readonly operator?: boolean
}
export interface SimulationResult {
  readonly seed: number
  /** The first thing found wrong. */
  readonly problem: string | undefined
  readonly log: readonly string[]
  readonly simulatedMs: number
  /** Names of the faults, in their order. */
  readonly faults: readonly string[]
  readonly checkpoints: number
  /** How often an operator's override was done. */
  readonly overrides: number
}

/** On average; the jobs run as long as there are faults, more or less. */
const MS_A_FAULT = 700
/** No fault lasts longer. */
const FAULT_MS_MAX = 30_000
/** After the last fault has ended, all jobs end within this time. */
const LIVENESS_MS = 120_000
const OPERATORS_CHANCE = 0x0be7a7e
const AFTERWARDS = 'after the override'

interface SimulatedJob {
  readonly workload: Workload
  readonly jobId: string
  readonly output: CommittedOutput
  cancelled: boolean
}

export async function simulate(options: SimulationOptions): Promise<SimulationResult> {
  return new Simulation(options).run()
}

class Simulation {
  readonly #cluster: SimulatedCluster
  readonly #steps: number
  readonly #jobs: SimulatedJob[] = []
  readonly #faults: string[] = []
  readonly #ends = new Set<() => void>()

  constructor(private readonly options: SimulationOptions) {
    // The shape of the cluster is the seed's, too, but not the order in which its processes draw from it.
    const { seed, broken = [] } = options
    const jobManagers = seed % 3 === 0 ? 3 : 2
    const taskManagers = seed % 5 === 0 ? 3 : 2
    // With one each, the tasks of a job are spread, and their data crosses the network.
    const slotsEach = seed % 2 === 0 ? 1 : 2
    const sparesTasks = seed % 4 === 3
    const settings = {
      'execution.checkpointing.interval': '300 ms',
      'execution.checkpointing.timeout': '8 s',
      'restart-strategy.type': sparesTasks ? 'none' : 'fixed-delay',
      'restart-strategy.fixed-delay.attempts': '1000000',
      'restart-strategy.fixed-delay.delay': '200 ms',
    }
    const timing = sparesTasks ? { ...TIMING, leaderlessTimeoutMs: 600_000 } : TIMING
    this.#steps = options.steps ?? 1 + (seed % 4)
    this.#cluster = new SimulatedCluster({ seed, jobManagers, taskManagers, slotsEach, settings, broken, sparesTasks, timing })
  }

  async run(): Promise<SimulationResult> {
    const cluster = this.#cluster
    let problem: string | undefined
    try {
      await cluster.start()
      await this.#submit()
      if (this.options.operator) this.#operate()
      await this.#fail()
      await this.#finish()
    } catch (error) {
      problem = error instanceof Error ? error.message : String(error)
    }
    problem = cluster.invariants.problems[0] ?? problem
    if (problem !== undefined) cluster.note('checker', problem)
    return {
      seed: this.options.seed,
      problem,
      log: cluster.log,
      simulatedMs: cluster.clock.monotonicMs(),
      faults: this.#faults,
      overrides: cluster.invariants.overrides,
      checkpoints: [...cluster.invariants.facts.values()].reduce((sum, fact) => sum + (fact.checkpoints.at(-1)?.id ?? 0), 0),
    }
  }

  /** One job of one of the shapes, or several at once, of which one is cancelled on its way. */
  async #submit(): Promise<void> {
    const cluster = this.#cluster
    const { random } = cluster
    const { shape } = this.options
    const several = random.next() < 0.3 && shape === undefined
    const one = shape ?? pick(random, Object.keys(SHAPES) as (keyof typeof SHAPES)[])
    const kinds = several ? (['keyedSum', 'keyedSum'] as const) : ([one] as const)
    for (const [i, kind] of kinds.entries()) {
      const parallelism = several ? 1 : 2
      const ratePerSecond = between(random, 10, 40)
      const records = Math.round((ratePerSecond * between(random, 800, 2_000 + this.#steps * MS_A_FAULT)) / 1_000)
      const workload: Workload = { name: `${kind} ${i + 1}`, records, ratePerSecond, parallelism }
      await this.#submitOne(kind, workload, several && i === 0)
    }
  }
  async #submitOne(kind: keyof typeof SHAPES, workload: Workload, cancelled: boolean): Promise<void> {
    const cluster = this.#cluster
    const jobId = (this.#jobs.length + 1).toString(16).padStart(32, '0')
    const output = new CommittedOutput(jobId, SHAPES[kind].expected(workload), cluster.invariants, this.#carelessness)
    cluster.whenPowerFails((name) =>
      output.powerFails(
        (attemptId) => cluster.attempts.get(attemptId)?.taskManagerId === name,
        (lines) => between(cluster.random, 0, lines),
      ),
    )
    const job: SimulatedJob = { workload, jobId, output, cancelled }
    this.#jobs.push(job)
    const program = SHAPES[kind].program(workload, output, { 'parallelism.default': workload.parallelism }, cluster.trouble)
    const jobGraph = await cluster.jobOf(jobId, program)
    cluster.ask(
      (leading) => leading.dispatcher.submitJob({ jobGraph }),
      () => this.#accepted(job),
    )
  }
  /** By chance of its own: a seed is the same history but for what the operator does. Once the override is done, another job comes: nothing of that one may be lost. */
  #operate(): void {
    const { seed } = this.options
    const operator = new Operator(this.#cluster, seededRandom(seed ^ OPERATORS_CHANCE), () => {
      if (this.#jobs.some(({ workload }) => workload.name === AFTERWARDS)) return
      this.#submitOne('keyedSum', { name: AFTERWARDS, records: 30, ratePerSecond: 30, parallelism: 1 }, false).catch((error: unknown) =>
        this.#cluster.invariants.violated(`the job can not be made: ${String(error)}`),
      )
    })
    operator.start(this.#steps * MS_A_FAULT)
  }
  get #carelessness(): Carelessness {
    const { broken = [] } = this.options
    const { attempts } = this.#cluster
    return {
      attemptInName: !broken.includes('file-without-attempt'),
      syncs: !broken.includes('acknowledge-before-fsync'),
      isRolledBack: (attemptId, checkpointId) =>
        broken.includes('roll-back-at-abort') && checkpointId <= (attempts.get(attemptId)?.abortedUpTo ?? -1),
    }
  }
  #accepted({ jobId, cancelled }: SimulatedJob): void {
    const { clock, invariants, random } = this.#cluster
    this.#cluster.note('client', 'submitted', { jobId })
    if (!invariants.facts.has(jobId)) invariants.violated(`job ${jobId} is acknowledged, but has no node`)
    if (!cancelled) return
    clock.setTimer(between(random, 0, 4_000), () =>
      this.#cluster.ask(
        (leading) =>
          leading.dispatcher.cancelJob({ jobId }).catch((error: unknown) => {
            if (this.#isTerminal(jobId)) return { accepted: true } // It was faster.
            throw error
          }),
        () => this.#cluster.note('client', 'cancelled', { jobId }),
      ),
    )
  }

  async #fail(): Promise<void> {
    const { clock, random, invariants } = this.#cluster
    for (let step = 0; step < this.#steps && invariants.problems.length === 0 && !this.#isDone; step++) {
      await this.#pass(between(random, 50, 2 * MS_A_FAULT))
      const fault = pickFault(this.#cluster, this.options.faults)
      if (fault !== undefined) this.#beginFault(fault)
    }
    // Now and then each lasts as long as it would by itself.
    if (this.#ends.size > 0) await this.#pass(random.next() < 0.4 ? FAULT_MS_MAX : between(random, 0, 4_000), () => this.#ends.size === 0)
    for (const end of this.#ends) end()
    this.#cluster.note('faults', 'are over', { at: clock.monotonicMs() })
  }
  #beginFault(name: string): void {
    const { clock, random } = this.#cluster
    const fault = FAULTS[name]!
    const begun = fault.begin(this.#cluster)
    if (!begun) return
    this.#faults.push(name)
    this.#cluster.note('fault', name, { what: begun.what })
    const end = () => {
      if (!this.#ends.delete(end)) return
      this.#cluster.note('fault', `${name} is over`, { what: begun.what })
      begun.end()
    }
    this.#ends.add(end)
    clock.setTimer(between(random, fault.lastsMs[0], fault.lastsMs[1] + 1), end)
  }
  async #pass(ms: number, enough = () => false): Promise<void> {
    const { clock, invariants } = this.#cluster
    const end = clock.monotonicMs() + ms
    let over = false
    clock.setTimer(ms, () => {
      over = true
    })
    await clock.runUntil(() => over || enough() || this.#isDone || invariants.problems.length > 0, { withinMs: end - clock.monotonicMs() })
  }

  async #finish(): Promise<void> {
    const cluster = this.#cluster
    const { clock, invariants } = cluster
    cluster.keepAllRunning() // Whoever is missing for another reason, too.
    do {
      await clock
        .runUntil(() => invariants.problems.length > 0 || this.#isDone, { withinMs: LIVENESS_MS })
        .catch(() => {
          const open = this.#jobs.filter(({ jobId }) => !this.#isTerminal(jobId))
          throw new Error(`not ended ${LIVENESS_MS} ms after the last fault: ${open.map(({ workload }) => workload.name).join(', ')}`)
        })
      if (invariants.problems.length > 0) return
      await this.#drainsEnd()
      await clock.advance(2_000) // The last commits follow the end of their job.
    } while (!this.#isDone) // An override brings another job.
    for (const job of this.#jobs) this.#checkEnd(job)
  }
  /** A drain that was acknowledged is finished, and whoever leads then knows how. */
  async #drainsEnd(): Promise<void> {
    const cluster = this.#cluster
    if (cluster.drainsAcknowledged.length === 0) return
    let ended = false
    void cluster.drainsEnded().then(() => (ended = true))
    await cluster.clock
      .runUntil(() => ended, { withinMs: LIVENESS_MS })
      .catch(() => {
        const asked = cluster.drainsAcknowledged.map(({ taskManagerId }) => taskManagerId)
        throw new Error(`nobody knows ${LIVENESS_MS} ms after the last fault how all of these were drained: ${asked.join(', ')}`)
      })
  }
  get #isDone(): boolean {
    return this.#jobs.every(({ jobId }) => this.#isTerminal(jobId))
  }
  #isTerminal(jobId: string): boolean {
    return this.#cluster.invariants.facts.get(jobId)?.terminal !== undefined
  }
  #checkEnd({ cancelled, jobId, output, workload }: SimulatedJob): void {
    const { invariants } = this.#cluster
    const { status } = invariants.facts.get(jobId)!.terminal!
    if (status === 'FAILED' && invariants.mayFail(invariants.facts.get(jobId)!)) return
    if (status !== 'FINISHED' && !(cancelled && status === 'CANCELED')) invariants.violated(`${workload.name} is ${status}`)
    if (status === 'FINISHED' && output.missing.length > 0)
      invariants.violated(`${workload.name}: ${output.missing.length} lines are lost, ${output.missing.slice(0, 5).join(', ')} …`)
  }
}
