/** What stays of a job that has ended: its result, and the rest of its details, as blobs that the job's fact names. */
import { createHash } from 'node:crypto'
import { pack, unpack } from 'msgpackr'
import { sleep } from '#core/clock.js'
import { isFlottError } from '#core/errors.js'
import type { JobDetails } from '#protocol/gateways/dispatcher-gateway.js'
import type { BlobStore } from '#protocol/ha/blobs.js'
import type { JobFact } from '#protocol/ha/facts.js'
import type { CheckpointRetention } from './checkpoint/checkpoint-settings.js'
import type { JobMasterContext } from './job-master-context.js'

const STORE_RETRY_MS = 1_000

type Result = Pick<JobDetails, 'jobId' | 'jobName' | 'status' | 'startTime' | 'endTime' | 'accumulators' | 'failure'>
type History = Omit<JobDetails, 'jobGraph' | 'fact' | keyof Result>

export interface EndedJobBlobs {
  readonly result: string
  readonly history: string
}

export async function storeEndedJob(blobs: BlobStore, details: JobDetails): Promise<EndedJobBlobs> {
  const { jobGraph: _graph, fact: _fact, jobId, jobName, status, startTime, endTime, accumulators, failure, ...history } = details
  const result: Result = { jobId, jobName, status, startTime, endTime, accumulators, ...(failure ? { failure } : {}) }
  const store = async (kind: string, value: object) => {
    const bytes = pack(value)
    const name = `${kind}/${jobId}/${createHash('sha256').update(bytes).digest('hex')}`
    await blobs.put(name, bytes)
    return name
  }
  return { result: await store('result', result), history: await store('history', history satisfies History) }
}

export async function loadEndedJob(blobs: BlobStore, names: EndedJobBlobs): Promise<Omit<JobDetails, 'jobGraph' | 'fact'>> {
  const result = unpack(await blobs.get(names.result)) as Result
  const history = unpack(await blobs.get(names.history)) as History
  return { ...history, ...result }
}

/** The fact's last step. A job that has FINISHED needs its checkpoints no more; after any other end the retention decides. */
export function endedFact(
  { deployment: _deployment, startsFrom: _startsFrom, ...fact }: JobFact,
  blobs: EndedJobBlobs,
  terminal: NonNullable<JobFact['terminal']>,
  retention: CheckpointRetention,
): JobFact {
  return { ...fact, ...blobs, terminal, checkpoints: retains(terminal.status, retention) ? fact.checkpoints : [] }
}

function retains(status: 'FINISHED' | 'FAILED' | 'CANCELED', retention: CheckpointRetention): boolean {
  if (status === 'FINISHED' || retention === 'NO_EXTERNALIZED_CHECKPOINTS') return false
  return status === 'FAILED' || retention === 'RETAIN_ON_CANCELLATION'
}

/** Blobs first, then the one step of the fact; until it has worked, or the reign is over (undefined). */
export async function makeEndDurable(
  context: Pick<JobMasterContext, 'blobs' | 'clock' | 'logger' | 'updateFact'>,
  reign: AbortSignal,
  details: JobDetails,
  terminal: NonNullable<JobFact['terminal']>,
  retention: CheckpointRetention,
): Promise<JobFact | undefined> {
  while (!reign.aborted) {
    try {
      const blobs = await storeEndedJob(context.blobs, details)
      return await context.updateFact((fact) => endedFact(fact, blobs, terminal, retention))
    } catch (error) {
      if (reign.aborted || isFlottError(error, 'NOT_LEADER')) return undefined
      context.logger.error('the end of the job could not be stored yet', { error })
      await sleep(context.clock, STORE_RETRY_MS, reign).catch(() => {}) // Aborted: the loop ends.
    }
  }
  return undefined
}

/** Deletes what an ended job's fact names no more. What is missed is an orphan that `flott gc` removes. */
export async function discardBlobs(blobs: BlobStore, { jobId, checkpoints, history }: JobFact): Promise<void> {
  const kinds = checkpoints.length === 0 ? ['deployment', 'history', 'manifest', 'chunk'] : ['deployment', 'history']
  for (const kind of kinds) {
    const names: string[] = []
    for await (const { name } of blobs.list(`${kind}/${jobId}/`)) if (name !== history) names.push(name)
    if (names.length > 0) await blobs.delete(names)
  }
}
