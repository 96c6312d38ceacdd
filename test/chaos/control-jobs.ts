/**
 * Small jobs that are submitted, end by themselves or are cancelled, all the time and through every fault. What was acknowledged once
 * is true for ever: a submitted job is there and ends FINISHED with the right output, a cancelled one is CANCELED; nothing is there twice.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { between, type Random } from '#core/random.js'
import type { JobStatus } from '#protocol/ha/facts.js'
import { pause } from '../support/faults.js'
import type { CommandResult, ProcessCluster } from '../support/process-cluster.js'
import { RoundOutput } from './round-output.js'

const PROGRAM = 'test/integration/cli/programs/steady-counts.ts'
const KEYS = 3
/** Slots are for so many beside the main job, also while a TaskManager is away. */
const LIVING_MAX = 2
/** The command line gives up long before. */
const COMMAND_MAX_MS = 240_000
const ENDED: readonly JobStatus[] = ['FINISHED', 'FAILED', 'CANCELED']

export interface ControlJob {
  readonly name: string
  readonly directory: string
  /** Ends by itself after so many; undefined: runs until it is cancelled. */
  readonly rounds: number | undefined
  /** Acknowledged. */
  jobId?: string
  /** Nobody knows whether it was accepted. */
  doubtful?: boolean
  cancel?: 'asked' | 'acknowledged'
  /** As last seen. */
  state?: JobStatus
  checked?: boolean
}

export class ControlJobs {
  readonly #jobs: ControlJob[] = []
  readonly violations: string[] = []
  /** Ids of jobs that should have ended and have not. */
  readonly stuck: string[] = []
  readonly counts = { submitted: 0, submitFailed: 0, cancelled: 0, cancelFailed: 0, finished: 0 }
  #running = true
  #loop: Promise<void> = Promise.resolve()

  constructor(
    private readonly cluster: Pick<ProcessCluster, 'startFlott' | 'jobs'>,
    private readonly directory: string,
    private readonly random: Random,
    private readonly tell: (line: string) => void,
  ) {}

  get jobs(): readonly ControlJob[] {
    return this.#jobs
  }
  start(): void {
    this.#loop = this.#run()
  }
  /** No more operations; the one on its way is waited for. */
  async end(): Promise<void> {
    this.#running = false
    await this.#loop
  }
  async #run(): Promise<void> {
    while (this.#running) {
      const living = this.#jobs.filter((job) => job.jobId !== undefined && !ENDED.includes(job.state ?? 'RUNNING'))
      const endless = living.find((job) => job.rounds === undefined && job.cancel === undefined)
      if (endless && (living.length >= LIVING_MAX || this.random.next() < 0.4)) await this.cancel(endless)
      else if (living.length < LIVING_MAX) await this.submit()
      await pause(between(this.random, 500, 3_000))
    }
  }

  async submit(): Promise<void> {
    const name = `control-${this.#jobs.length}`
    const directory = join(this.directory, name)
    const rounds = this.random.next() < 0.5 ? between(this.random, 50, 500) : undefined
    mkdirSync(directory)
    const [stop, output] = [join(directory, 'stop'), join(directory, 'out')]
    if (rounds !== undefined) writeFileSync(stop, String(rounds))
    const job: ControlJob = { name, directory, rounds }
    this.#jobs.push(job)
    const result = await this.#command(['run', '-d', '--json', '-p', '1', `-Dpipeline.name=${name}`, PROGRAM, String(KEYS), stop, output])
    if (result?.code === 0) {
      job.jobId = (JSON.parse(result.stdout) as { jobId: string }).jobId
      this.counts.submitted++
    } else {
      job.doubtful = true
      this.counts.submitFailed++
      this.tell(`${name} was not submitted: ${lastLine(result)}`)
    }
  }
  async cancel(job: ControlJob): Promise<void> {
    job.cancel = 'asked'
    const result = await this.#command(['cancel', '--json', job.jobId!])
    if (result?.code === 0) {
      job.cancel = 'acknowledged'
      this.counts.cancelled++
    } else {
      this.counts.cancelFailed++
      this.tell(`${job.name} was not cancelled: ${lastLine(result)}`)
    }
  }
  async #command(args: string[]): Promise<CommandResult | undefined> {
    const { process: child, result } = this.cluster.startFlott(args)
    let late = false
    const timer = setTimeout(() => {
      late = true
      child.kill('SIGKILL')
    }, COMMAND_MAX_MS)
    const ended = await result
    clearTimeout(timer)
    if (late) this.violations.push(`flott ${args.join(' ')} did not end within ${COMMAND_MAX_MS} ms`)
    return late ? undefined : ended
  }

  /** Compares with what the cluster says; to be called when it should answer. */
  async check(): Promise<void> {
    // Before the question, so that the answer knows of all of it.
    const expected = this.#jobs.filter(({ jobId }) => jobId !== undefined).map((job) => ({ job, cancelled: job.cancel === 'acknowledged' }))
    const found = await this.cluster.jobs()
    for (const { job, cancelled } of expected) {
      const { name, jobId } = job
      const state = found.find(({ jid }) => jid === jobId)?.state
      if (state === undefined) this.#violation(`${name} (${jobId}) was submitted, and is not there`)
      else this.#compare(job, state, cancelled)
    }
    for (const job of this.#jobs) {
      const { name } = job
      const same = found.filter((other) => other.name === name)
      if (job.doubtful && same[0]) job.jobId ??= same[0].jid // What was shown once is as good as acknowledged.
      if (same.length > 1) this.#violation(`${name} is there ${same.length} times: ${same.map(({ jid }) => jid).join(', ')}`)
    }
  }
  #compare(job: ControlJob, state: JobStatus, cancelled: boolean): void {
    const { name, jobId, cancel, rounds } = job
    if (job.state !== undefined && ENDED.includes(job.state) && state !== job.state)
      this.#violation(`${name} (${jobId}) was ${job.state}, and is ${state}`)
    if (cancelled && state !== 'CANCELED') this.#violation(`${name} (${jobId}) was cancelled, and is ${state}`)
    if (state === 'FAILED' || (state === 'CANCELED' && cancel === undefined) || (state === 'FINISHED' && rounds === undefined))
      this.#violation(`${name} (${jobId}) is ${state}, which nobody asked for`)
    job.state = state
    if (!ENDED.includes(state) || job.checked) return
    job.checked = true
    if (state === 'FINISHED') this.counts.finished++
    const output = new RoundOutput(join(job.directory, 'out'), KEYS)
    for (const mistake of output.verdict(state === 'FINISHED' ? rounds : undefined))
      this.#violation(`output of ${name} (${jobId}): ${mistake}`)
  }
  #violation(text: string): void {
    if (!this.violations.includes(text)) this.violations.push(text)
  }

  /** After the faults: those that end by themselves do, all others are cancelled, also those that nobody acknowledged. */
  async finish(withinMs: number): Promise<void> {
    const until = performance.now() + withinMs
    for (;;) {
      await this.check()
      const open = (await this.cluster.jobs()).filter(({ name, state }) => name.startsWith('control-') && !ENDED.includes(state))
      if (open.length === 0) return
      if (performance.now() > until) {
        this.#violation(
          `after ${withinMs} ms without faults there are still ${open.map(({ name, state }) => `${name} ${state}`).join(', ')}`,
        )
        this.stuck.push(...open.map(({ jid }) => jid))
        return
      }
      for (const { jid, name } of open) {
        const job = this.#jobs.find((known) => known.name === name)!
        if (job.rounds !== undefined) continue
        job.jobId ??= jid
        await this.cancel(job)
      }
      await pause(200)
    }
  }
}

function lastLine(result: CommandResult | undefined): string {
  return result === undefined ? 'no answer' : (result.stderr.trim().split('\n').at(-1) ?? `exit code ${result.code}`)
}
