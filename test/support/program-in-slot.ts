/** Runs a program of the API from its functions to its output: all subtasks in one slot, in this thread, under a fake clock. */

import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Configuration, type DataStream, StreamExecutionEnvironment } from '#client/index.js'
import { graphOfProgram } from '#client/submit/program-runner.js'
import { systemClock } from '#core/clock.js'
import { deserializeError } from '#core/errors.js'
import { placeArtifact } from '#core/functions/artifact-directory.js'
import type { BuiltProgram } from '#core/functions/build-phase.js'
import type { SourceDefinition } from '#core/functions/operator-definition.js'
import type { SourceSplit, SplitEnumerator } from '#core/functions/source.js'
import { attemptIdOf, stableId } from '#core/ids.js'
import type { EnumeratorEvent } from '#protocol/gateways/task-executor-gateway.js'
import type { JobGraph } from '#protocol/graph/job-graph.js'
import { ArtifactLoader, FunctionLoader } from '#usercode/program-loader.js'
import { graphOf } from './graph.js'
import { SlotJob } from './slot-job.js'

const TURNS_MAX = 20_000

export interface SlotRun {
  readonly job: SlotJob
  /** What each collect operator and print sink gave out, in order. */
  readonly collected: readonly unknown[]
  readonly printed: readonly string[]
}

/** The records of the stream that `build` returns. Fails with the error of the first task that failed. */
export async function collectInSlot<T>(
  build: (env: StreamExecutionEnvironment) => DataStream<T>,
  config: Configuration = {},
): Promise<readonly T[]> {
  const { collected } = await runInSlot((env) => void build(env).executeAndCollect(), config)
  return collected as readonly T[]
}

/** `build` calls execute or executeAndCollect. */
export async function runInSlot(build: (env: StreamExecutionEnvironment) => unknown, config: Configuration = {}): Promise<SlotRun> {
  const program = async () => {
    build(StreamExecutionEnvironment.getExecutionEnvironment(config))
    await new Promise(() => {})
  }
  const jobGraph = await graphOf(program)
  return finish(jobGraph, await new FunctionLoader(program).load(jobGraph))
}

/** A program in a file, as `flott run` takes it: through its bundle. Without checkpoints, since nobody triggers them here. */
export async function runFileInSlot(file: string, args: readonly string[]): Promise<SlotRun> {
  const { jobGraph, artifact } = await graphOfProgram({ file, args, overrides: { 'execution.checkpointing.interval': '0 ms' } })
  const directory = await mkdtemp(join(tmpdir(), 'flott-artifact-'))
  await placeArtifact(directory, artifact)
  return finish(jobGraph, await new ArtifactLoader(systemClock).load(jobGraph, directory))
}

async function finish(jobGraph: JobGraph, built: BuiltProgram): Promise<SlotRun> {
  const job = new SlotJob({ jobGraph, program: built })
  const enumerators = new Enumerators(job, jobGraph, built)
  // Files are real: fake time goes on in small steps while they are waited for.
  for (let turn = 0; !job.attempts.every((id) => job.stateOf(id) === 'FINISHED'); turn++) {
    if (turn === TURNS_MAX) throw new Error(`not finished: ${JSON.stringify(job.states())}`)
    enumerators.pump()
    await job.clock.advance(1)
    const failure = job.failure()
    if (failure?.error) throw deserializeError(failure.error)
  }
  return { job, collected: job.heard('collected').flatMap((m) => m.records), printed: job.heard('print').map((m) => m.line) }
}

/** The enumerators of all sources, and the events between them and their readers. */
class Enumerators {
  readonly #byOperator = new Map<string, SplitEnumerator<SourceSplit, unknown>>()
  readonly #numbers = new Map<string, number>()
  readonly #readers = new Set<number>()
  #heard = 0
  constructor(
    private readonly job: SlotJob,
    jobGraph: JobGraph,
    program: BuiltProgram,
  ) {
    for (const { id, parallelism, operators } of jobGraph.vertices) {
      const [head] = operators
      if (head?.kind !== 'source') continue
      const send = (event: EnumeratorEvent, reader: number) => this.#send(attemptIdOf(jobGraph.jobId, id, reader, 0), head.id, event)
      const enumerator = (program.operators.get(head.uid) as SourceDefinition).source.createEnumerator(
        {
          parallelism,
          registeredReaders: () => [...this.#readers],
          assignSplit: (split, reader = 0) => send({ kind: 'splits-assigned', splits: [JSON.parse(JSON.stringify(split))] }, reader),
          signalNoMoreSplits: (reader = 0) => send({ kind: 'no-more-splits' }, reader),
          callAsync: (task, then) => void task(new AbortController().signal).then(then),
        },
        undefined,
      )
      enumerator.start()
      this.#byOperator.set(stableId(head.uid), enumerator)
    }
  }
  /** Hands over what the readers have said meanwhile. */
  pump(): void {
    for (; this.#heard < this.job.said.length; this.#heard++) {
      const message = this.job.said[this.#heard]!
      if (message.kind !== 'reader-event') continue
      const enumerator = this.#byOperator.get(message.operatorId)!
      if (message.event.kind === 'split-requested') enumerator.handleSplitRequest?.(message.reader)
      else {
        this.#readers.add(message.reader)
        enumerator.addReader?.(message.reader)
      }
    }
  }
  #send(attemptId: string, operatorId: string, event: EnumeratorEvent): void {
    const number = (this.#numbers.get(`${attemptId} ${operatorId}`) ?? 0) + 1
    this.#numbers.set(`${attemptId} ${operatorId}`, number)
    this.job.send({ kind: 'operator-events', attemptId, operatorId, events: [{ number, event }] })
  }
}
