/**
 * The life of a failover region: it waits for its slots, its deployment is recorded, its tasks run; after a failure all its attempts end
 * and a pause passes, then it begins again. `run` tells a late outcome from one that is still wanted.
 */
export type RegionPhase = 'idle' | 'waiting-for-slots' | 'recording' | 'deployed' | 'restarting' | 'ending' | 'ended'

export interface Region {
  readonly phase: RegionPhase
  /** Raised with each failure and at the end. */
  readonly run: number
  /** While restarting: what it still waits for. */
  readonly attemptsEnded: boolean
  readonly delayElapsed: boolean
}
export const NEW_REGION: Region = { phase: 'idle', run: 0, attemptsEnded: false, delayElapsed: false }

export type RegionEvent =
  | { readonly kind: 'begin' }
  /** It was deployed under an earlier leader. */
  | { readonly kind: 'adopted' }
  | { readonly kind: 'slots-complete' }
  | { readonly kind: 'recorded'; readonly run: number }
  | { readonly kind: 'failed'; readonly delayMs: number }
  | { readonly kind: 'delay-elapsed'; readonly run: number }
  /** All its attempts are terminal. */
  | { readonly kind: 'attempts-ended' }
  | { readonly kind: 'job-ending' }

export type RegionEffect =
  | { readonly kind: 'acquire-slots' | 'record-deployment' | 'submit-tasks' | 'cancel-tasks' | 'reset-attempts' }
  | { readonly kind: 'start-delay'; readonly delayMs: number }
export interface RegionStep {
  readonly region: Region
  readonly effects: readonly RegionEffect[]
}

export function stepRegion(region: Region, event: RegionEvent): RegionStep {
  const { phase, run } = region
  const stay: RegionStep = { region, effects: [] }
  switch (event.kind) {
    case 'begin':
      return phase === 'idle' ? waiting(region, []) : stay
    case 'adopted':
      return phase === 'idle' ? { region: { ...region, phase: 'deployed' }, effects: [] } : stay
    case 'slots-complete':
      return phase === 'waiting-for-slots' ? { region: { ...region, phase: 'recording' }, effects: [{ kind: 'record-deployment' }] } : stay
    case 'recorded':
      if (phase !== 'recording' || event.run !== run) return stay
      return { region: { ...region, phase: 'deployed' }, effects: [{ kind: 'submit-tasks' }] }
    case 'failed':
      if (phase === 'restarting' || phase === 'ending') return stay
      return {
        region: { phase: 'restarting', run: run + 1, attemptsEnded: false, delayElapsed: false },
        effects: [{ kind: 'start-delay', delayMs: event.delayMs }, { kind: 'cancel-tasks' }],
      }
    case 'delay-elapsed':
      if (phase !== 'restarting' || event.run !== run) return stay
      return restartWhenReady({ ...region, delayElapsed: true })
    case 'attempts-ended':
      if (phase === 'restarting') return restartWhenReady({ ...region, attemptsEnded: true })
      return phase === 'deployed' || phase === 'ending' ? { region: { ...region, phase: 'ended' }, effects: [] } : stay
    case 'job-ending':
      if (phase === 'ending' || phase === 'ended') return stay
      return { region: { ...region, phase: 'ending', run: run + 1 }, effects: [{ kind: 'cancel-tasks' }] }
  }
}

function restartWhenReady(region: Region): RegionStep {
  if (!region.attemptsEnded || !region.delayElapsed) return { region, effects: [] }
  return waiting(region, [{ kind: 'reset-attempts' }])
}

function waiting(region: Region, before: readonly RegionEffect[]): RegionStep {
  const waiting: Region = { ...region, phase: 'waiting-for-slots', attemptsEnded: false, delayElapsed: false }
  return { region: waiting, effects: [...before, { kind: 'acquire-slots' }] }
}
