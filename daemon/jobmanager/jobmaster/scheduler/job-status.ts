/** The status of a job, with Flink's names. Terminal here means decided; it is made durable before anyone is told. */
import type { JobStatus } from '#protocol/ha/facts.js'

export const NEXT: Readonly<Record<JobStatus, readonly JobStatus[]>> = {
  INITIALIZING: ['CREATED', 'RECONCILING', 'CANCELLING', 'FAILING'],
  CREATED: ['RUNNING', 'CANCELLING', 'FAILING'],
  RUNNING: ['RESTARTING', 'FAILING', 'CANCELLING', 'FINISHED'],
  RESTARTING: ['RUNNING', 'FAILING', 'CANCELLING'],
  FAILING: ['FAILED', 'CANCELLING'],
  CANCELLING: ['CANCELED'],
  RECONCILING: ['RUNNING', 'RESTARTING', 'FAILING', 'CANCELLING'],
  FINISHED: [],
  FAILED: [],
  CANCELED: [],
  SUSPENDED: [],
}

export type JobEvent =
  | { readonly kind: 'initialized'; readonly deployedBefore: boolean }
  /** What earlier deployments left running is gone, or adopted. */
  | { readonly kind: 'reconciled' }
  | { readonly kind: 'scheduled' }
  | { readonly kind: 'restart-begun' }
  /** No region waits for its attempts to end any more. */
  | { readonly kind: 'regions-restarted' }
  | { readonly kind: 'failed-for-good' }
  | { readonly kind: 'cancel-requested' }
  /** No attempt runs any more and none will be started. */
  | { readonly kind: 'ended' }

export function isGloballyTerminal(status: JobStatus): status is 'FINISHED' | 'FAILED' | 'CANCELED' {
  return status === 'FINISHED' || status === 'FAILED' || status === 'CANCELED'
}
/** The job goes towards its end: failures change nothing any more. */
export function isEnding(status: JobStatus): boolean {
  return status === 'FAILING' || status === 'CANCELLING' || status === 'SUSPENDED' || isGloballyTerminal(status)
}

/** The status after the event; the same one where the event changes nothing. */
export function nextStatus(status: JobStatus, event: JobEvent): JobStatus {
  const go = (to: JobStatus) => (NEXT[status].includes(to) ? to : status)
  switch (event.kind) {
    case 'initialized':
      return go(event.deployedBefore ? 'RECONCILING' : 'CREATED')
    case 'reconciled':
    case 'scheduled':
      return status === 'CREATED' || status === 'RECONCILING' ? 'RUNNING' : status
    case 'restart-begun':
      return go('RESTARTING')
    case 'regions-restarted':
      return status === 'RESTARTING' ? 'RUNNING' : status
    case 'failed-for-good':
      return go('FAILING')
    case 'cancel-requested':
      return go('CANCELLING')
    case 'ended':
      if (status === 'FAILING') return 'FAILED'
      if (status === 'CANCELLING') return 'CANCELED'
      return go('FINISHED')
  }
}
