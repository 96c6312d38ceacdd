/**
 * What a checkpoint is called where people and scripts name one: `flott:/<job id>/chk-<n>`. The end is that of a path in a checkpoint
 * directory of Flink; the scheme says that there is no such file, but a cluster that has it under whichever JobManager leads.
 */
import { FlottError } from '#core/errors.js'
import { isId } from '#core/ids.js'

export interface CheckpointPath {
  readonly jobId: string
  /** undefined: the job was named, and no checkpoint of it. */
  readonly checkpointId: number | undefined
}

export function checkpointPath(jobId: string, checkpointId: number): string {
  return `flott:/${jobId}/chk-${checkpointId}`
}

/** With and without the scheme; a job's id alone. INVALID_ARGUMENT, which says that it is `what`. */
export function parseCheckpointPath(text: string, what: string): CheckpointPath {
  const [, jobId = '', id] = /^(?:flott:\/+)?([^/]*)(?:\/chk-(\d{1,15}))?\/?$/.exec(text) ?? []
  if (!isId(jobId))
    throw new FlottError('INVALID_ARGUMENT', `${what} is '${text}'; expects flott:/<job id>/chk-<n>, or the id of a job: 32 hex digits`)
  return { jobId, checkpointId: id === undefined ? undefined : Number(id) }
}
