/** One run: a cluster, its workload, the faults of a seed for some minutes, then calm, and what came of it. */
import { mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { seededRandom } from '#core/random.js'
import type { CheckpointsResponse, ClusterOverviewResponse, JobDetailsResponse } from '#protocol/rest/responses.js'
import { pause } from '../support/faults.js'
import { ControlJobs } from './control-jobs.js'
import { GapMeter } from './gaps.js'
import type { Network } from './hosts.js'
import { HurtCluster } from './hurt-cluster.js'
import { Nemesis } from './nemesis.js'
import { nameOf, plan } from './plan.js'
import { Report } from './report.js'
import { RoundOutput } from './round-output.js'

const PROGRAM = 'test/integration/cli/programs/steady-counts.ts'
const KEYS = 12
const PARALLELISM = 4
/** The source makes less than one in 10 ms: so many are enough for it to read that it is to end. */
const ROUNDS_AHEAD = 1_000
const RECOVERY_MAX_MS = 180_000
const POLL_MS = 50

export interface ChaosOptions {
  readonly seed: number
  /** No step begins after so long, or so many. */
  readonly seconds?: number
  readonly steps?: number
  readonly network: Network
  readonly directory: string
  readonly jobManagers: number
  readonly taskManagers: number
  readonly signal: AbortSignal
  readonly tell: (line: string) => void
}

export async function runChaos(options: ChaosOptions): Promise<Report> {
  const { seed, network, directory, jobManagers, taskManagers } = options
  const supervised = seed % 2 === 0
  const hurt = await HurtCluster.start({ network, directory, jobManagers, taskManagers, slots: taskManagers < 3 ? 4 : 3, supervised })
  let well = false
  try {
    const report = await new ChaosRun(options, hurt).run()
    well = report.violations.length === 0
    return report
  } finally {
    if (!well) hurt.saveLogs(join(directory, 'logs'))
    await hurt.stop()
  }
}

class ChaosRun {
  readonly #began = performance.now()
  readonly #report: Report
  readonly #main: string
  readonly #output: RoundOutput
  readonly #gaps: GapMeter
  readonly #control: ControlJobs
  #jobId = ''

  constructor(
    private readonly options: ChaosOptions,
    private readonly hurt: HurtCluster,
  ) {
    const { seed, directory } = options
    this.#report = new Report(seed, options.network)
    this.#main = join(directory, 'main')
    mkdirSync(join(this.#main, 'stamps'), { recursive: true })
    this.#output = new RoundOutput(join(this.#main, 'out'), KEYS)
    this.#gaps = new GapMeter(join(this.#main, 'stamps', 'stamp'))
    this.#control = new ControlJobs(hurt.cluster, this.#main, seededRandom(seed + 1), (line) => this.#tell(line))
  }

  async run(): Promise<Report> {
    const { hurt, options } = this
    await this.#submit()
    await this.#recovered(0)
    this.#gaps.read(wallNow())
    hurt.keep((line) => this.#tell(line))
    this.#control.start()
    const nemesis = new Nemesis(hurt, options.network)
    const until = performance.now() + (options.seconds ?? Number.POSITIVE_INFINITY) * 1_000
    let steps = 0
    /** Of the main job, when all was well before the step. */
    let restartsBefore = await this.#restarts()
    for (const step of plan(options.seed)) {
      if (performance.now() > until || steps++ >= (options.steps ?? Number.POSITIVE_INFINITY)) break
      if (options.signal.aborted || this.#report.violations.length > 0) break
      // Whoever leads then has everything, and says so truly.
      if (step.faults.some(({ harm }) => harm === 'data-wiped') && !(await this.#recovered(await this.#lastCheckpoint()))) continue
      const began = wallNow()
      this.#tell(`${step.faults.map((fault) => `${nameOf(fault)} for ${fault.lengthMs} ms`).join(', ')}${step.settles ? '' : ', no rest'}`)
      const injected = await nemesis.inject(step)
      const healed = performance.now()
      const ok = !step.settles || (await this.#recovered(await this.#lastCheckpoint()))
      const recoveryMs = step.settles && ok ? Math.round(performance.now() - healed) : undefined
      if (step.settles) await this.#checkAll()
      const restartsNow = step.settles && ok ? await this.#restarts() : undefined
      const restarts = restartsBefore === undefined || restartsNow === undefined ? undefined : restartsNow - restartsBefore
      restartsBefore = restartsNow
      const line = this.#report.step({
        injected,
        recoveryMs,
        restarts,
        gaps: this.#gaps.read(wallNow()).filter(({ from, ms }) => from + ms > began),
      })
      this.#tell(line)
      if (ok) await pause(step.pauseMs)
    }
    await this.#calm()
    return this.#report
  }

  async #submit(): Promise<void> {
    const files = [join(this.#main, 'stop'), join(this.#main, 'out'), String(PARALLELISM), join(this.#main, 'stamps', 'stamp')] as const
    const [stop, out, splits, stamps] = files
    const args = ['run', '-d', '--json', '-p', String(PARALLELISM), PROGRAM, String(KEYS), stop, out, splits, stamps]
    const { code, stdout, stderr } = await this.hurt.cluster.flott(args)
    if (code !== 0) throw new Error(`the main job was not submitted: ${stderr}`)
    this.#jobId = (JSON.parse(stdout) as { jobId: string }).jobId
  }

  async #ask<T>(path: string): Promise<T | undefined> {
    return this.hurt.cluster.rest<T>(path, { withinMs: 1 }).catch(() => undefined)
  }
  async #restarts(): Promise<number | undefined> {
    return (await this.#ask<JobDetailsResponse>(`/jobs/${this.#jobId}`))?.restarts
  }
  /** Of the main job, completed. */
  async #lastCheckpoint(): Promise<number> {
    return (await this.#ask<CheckpointsResponse>(`/jobs/${this.#jobId}/checkpoints`))?.latest.completed?.id ?? 0
  }

  /** Everybody is there and agrees on one leader, and the job completes checkpoints that began after now. */
  async #recovered(after: number): Promise<boolean> {
    const until = performance.now() + RECOVERY_MAX_MS
    let missing = ''
    while (performance.now() < until && !this.options.signal.aborted) {
      missing = await this.#missing(after)
      if (missing === '') return true
      await pause(POLL_MS)
    }
    if (!this.options.signal.aborted) this.#violation(`no recovery within ${RECOVERY_MAX_MS} ms: ${missing}`)
    return false
  }
  async #missing(after: number): Promise<string> {
    const leaders = new Set<string>()
    for (const { name, daemon } of this.hurt.jobManagers) {
      if (!daemon.isRunning) return `${name} does not run`
      const overview = await fetchJson<ClusterOverviewResponse>(daemon, '/overview')
      if (overview === undefined) return `${name} knows no leader`
      leaders.add(`${overview.leader.address} ${overview.leader.epoch}`)
      if (leaders.size > 1) return `they do not agree on the leader: ${[...leaders].join(', ')}`
      if (overview.taskmanagers < this.hurt.taskManagers.length) return `${overview.taskmanagers} TaskManagers are registered`
    }
    const job = await this.#ask<JobDetailsResponse>(`/jobs/${this.#jobId}`)
    if (job?.state !== 'RUNNING') return `the job is ${job?.state ?? 'not to be seen'}`
    const last = await this.#lastCheckpoint()
    return last >= after + 2 ? '' : `the last checkpoint is ${last}, which should reach ${after + 2}`
  }

  async #checkAll(): Promise<void> {
    this.#output.read()
    for (const mistake of this.#output.mistakes) this.#violation(`output of the main job: ${mistake}`)
    await this.#control.check().catch((error: unknown) => this.#tell(`the jobs could not be compared: ${String(error)}`))
    for (const violation of this.#control.violations) this.#violation(violation)
  }

  /** No faults any more: everything ends, and is compared to the last record. */
  async #calm(): Promise<void> {
    const { hurt, options } = this
    this.#tell('no more faults')
    await this.#control.end()
    if (await this.#recovered(await this.#lastCheckpoint())) {
      await this.#control.finish(RECOVERY_MAX_MS)
      for (const jobId of this.#control.stuck) await this.#tellStory(jobId)
      this.#output.read()
      const rounds = this.#output.rounds + ROUNDS_AHEAD
      writeFileSync(join(this.#main, 'stop.new'), String(rounds))
      renameSync(join(this.#main, 'stop.new'), join(this.#main, 'stop'))
      const until = performance.now() + RECOVERY_MAX_MS
      let job: JobDetailsResponse | undefined
      while (job?.state !== 'FINISHED' && performance.now() < until && !options.signal.aborted) {
        await pause(POLL_MS)
        job = await this.#ask<JobDetailsResponse>(`/jobs/${this.#jobId}`)
      }
      if (job?.state !== 'FINISHED') this.#violation(`the main job is ${job?.state}, and should be FINISHED`)
      else for (const mistake of this.#output.verdict(rounds)) this.#violation(`output of the main job: ${mistake}`)
      this.#report.restarts = job?.restarts
    }
    await this.#checkAll()
    for (const deserter of hurt.deserters) this.#violation(deserter)
    this.#report.records = this.#output.lines
    this.#report.control = this.#control.counts
    this.#report.minutes = (performance.now() - this.#began) / 60_000
  }

  /** All that is known of a job, for whoever has nothing but this output. */
  async #tellStory(jobId: string): Promise<void> {
    for (const part of ['', '/checkpoints', '/exceptions'])
      this.#tell(`/jobs/${jobId}${part}: ${JSON.stringify(await this.#ask(`/jobs/${jobId}${part}`))}`)
    for (const { name, daemon } of this.hurt.daemons)
      for (const line of daemon.log.split('\n').filter((line) => line.includes(jobId))) this.#tell(`${name}: ${line}`)
  }

  #violation(text: string): void {
    if (this.#report.violations.includes(text)) return
    this.#report.violations.push(text)
    this.#tell(`VIOLATION: ${text}`)
  }
  #tell(line: string): void {
    this.options.tell(`${((performance.now() - this.#began) / 1_000).toFixed(1).padStart(7)} s  ${line}`)
  }
}

/** As the program stamps its records. */
const wallNow = () => performance.timeOrigin + performance.now()

async function fetchJson<T>(daemon: { readonly restUrl: string }, path: string): Promise<T | undefined> {
  try {
    const answer = await fetch(daemon.restUrl + path, { signal: AbortSignal.timeout(2_000) })
    return answer.ok ? ((await answer.json()) as T) : undefined
  } catch {
    return undefined
  }
}
