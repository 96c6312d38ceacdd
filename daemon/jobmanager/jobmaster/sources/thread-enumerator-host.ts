import { Worker } from 'node:worker_threads'
import type { Clock, Timer } from '#core/clock.js'
import { deserializeError, FlottError } from '#core/errors.js'
import type { JobGraph } from '#protocol/graph/job-graph.js'
import type { EnumeratorHost, EnumeratorSession, FromEnumerators, ToEnumerators } from './enumerator-host.js'
import type { EnumeratorWorkerData } from './enumerator-worker.js'

export interface ThreadEnumeratorHostOptions {
  readonly clock: Clock
  /** Brings the job's artifact to this machine and returns its directory (usercode/artifact-directory.ts). */
  readonly artifactDirectory: (jobGraph: JobGraph) => Promise<string>
  /** Heap of the thread; beyond, it ends and the job fails. */
  readonly heapMegabytes?: number
  /** How long a message may go unanswered before the thread is taken to loop for ever. */
  readonly blockedAfterMs?: number
}

/** A thread a job, limited and watched. Only what ends the process harms the JobManager: see dispatcher/parked-jobs.ts. */
export class ThreadEnumeratorHost implements EnumeratorHost {
  constructor(private readonly options: ThreadEnumeratorHostOptions) {}

  open(jobGraph: JobGraph, handlers: Parameters<EnumeratorHost['open']>[1]): EnumeratorSession {
    const session = new ThreadSession(this.options, jobGraph, handlers)
    session.start()
    return session
  }
}

class ThreadSession implements EnumeratorSession {
  #worker: Worker | undefined
  #over = false
  #early: ToEnumerators[] = []
  #watchdog: Timer | undefined

  constructor(
    private readonly options: ThreadEnumeratorHostOptions,
    private readonly jobGraph: JobGraph,
    private readonly handlers: Parameters<EnumeratorHost['open']>[1],
  ) {}

  start(): void {
    this.options.artifactDirectory(this.jobGraph).then(
      (directory) => this.#spawn(directory),
      (cause: unknown) => this.#fail(cause instanceof Error ? cause : new Error(String(cause))),
    )
  }
  post(message: ToEnumerators): void {
    if (this.#over) return
    if (this.#worker) this.#send(message)
    else this.#early.push(message)
  }
  async close(): Promise<void> {
    this.#over = true
    this.#watchdog?.cancel()
    await this.#worker?.terminate()
  }

  #spawn(artifactDirectory: string): void {
    if (this.#over) return
    const heap = this.options.heapMegabytes ?? 256
    const workerData: EnumeratorWorkerData = { jobGraph: this.jobGraph, artifactDirectory }
    const worker = new Worker(new URL('./enumerator-worker.js', import.meta.url), {
      workerData,
      resourceLimits: { maxOldGenerationSizeMb: heap, maxYoungGenerationSizeMb: 32 },
      name: `enumerators ${this.jobGraph.jobId}`,
    })
    worker.on('message', (message: FromEnumerators) => this.#receive(message))
    worker.on('error', (cause) => this.#fail(cause))
    worker.on('exit', (code) =>
      this.#fail(new FlottError('USER_FUNCTION_FAILED', `the thread of the job's enumerators ended (code ${code})`)),
    )
    this.#worker = worker
    for (const message of this.#early.splice(0)) this.#send(message)
  }

  #send(message: ToEnumerators): void {
    try {
      this.#worker?.postMessage(message)
    } catch (cause) {
      this.#fail(new FlottError('RECORD_NOT_SERIALIZABLE', 'a split can not be sent to its enumerator', { cause }))
      return
    }
    this.#watch()
  }
  /** One ping behind the oldest message that is not answered yet. */
  #watch(): void {
    if (this.#watchdog || this.#over) return
    const blockedAfterMs = this.options.blockedAfterMs ?? 60_000
    const blocked = () => this.#fail(new FlottError('TASK_BLOCKED', `the enumerators of the job did not answer for ${blockedAfterMs} ms`))
    this.#watchdog = this.options.clock.setTimer(blockedAfterMs, blocked, { unref: true })
    this.#worker?.postMessage({ kind: 'ping' } satisfies ToEnumerators)
  }
  #receive(message: FromEnumerators): void {
    if (this.#over) return
    if (message.kind === 'failed') this.#fail(deserializeError(message.error))
    else if (message.kind === 'pong') {
      this.#watchdog?.cancel()
      this.#watchdog = undefined
    } else this.handlers.onMessage(message)
  }
  #fail(cause: Error): void {
    if (this.#over) return
    this.close().catch(() => {}) // terminate() has nothing to add.
    this.handlers.onFailure(cause)
  }
}
