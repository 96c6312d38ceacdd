import { type Clock, sleep } from '#core/clock.js'
import { FlottError } from '#core/errors.js'
import type { JobStatus } from '#protocol/ha/facts.js'
import type { RestClusterClient } from '../submit/rest-cluster-client.js'
import type { Terminal } from './terminal.js'

const ENDED: readonly JobStatus[] = ['FINISHED', 'FAILED', 'CANCELED']
const POLL_MS = 100

/** Cancels and waits for the end, for client.timeout at most: the intent is durable before that, so RPC_TIMEOUT does not take it back. */
export async function cancel(
  client: RestClusterClient,
  jobId: string,
  { json, timeoutMs }: { readonly json: boolean; readonly timeoutMs: number },
  terminal: Terminal,
  clock: Clock,
): Promise<void> {
  if (!json) terminal.note(`Cancelling job ${jobId}.`)
  await client.cancelJob(jobId)
  const deadline = clock.monotonicMs() + timeoutMs
  for (;;) {
    const status = await client.getJobStatus(jobId)
    if (ENDED.includes(status)) {
      terminal.out(json ? JSON.stringify({ jobId, status }) : `Job ${jobId} is ${status}.`)
      if (status === 'CANCELED') return
      throw new FlottError('JOB_ALREADY_TERMINATED', `job ${jobId} ended ${status} before it was cancelled`)
    }
    if (clock.monotonicMs() > deadline) throw new FlottError('RPC_TIMEOUT', `job ${jobId} is still ${status}; it will be cancelled`)
    await sleep(clock, POLL_MS)
  }
}
