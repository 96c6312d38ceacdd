import type { SimulationOptions } from './simulation.js'

/** Histories that found a bug once, and what it was. A later change of the simulation makes another history of a seed: then they are seeds like others. */
export const REGRESSIONS: readonly (SimulationOptions & { readonly found: string })[] = [
  { seed: 1, steps: 0, found: 'attempts of two jobs of one program had the same ids: on one TaskManager they fenced each other' },
  { seed: 4, found: 'a manifest that nobody needs any more counted as alive: garbage was never collected once it was gone' },
  { seed: 36, found: 'a blob was not sent again to a standby that left the in-sync set and joined anew: the put never ended' },
  {
    seed: 10063,
    steps: 12,
    found: 'a source that had finished before a restored checkpoint waited for ever to be told that it has no splits',
  },
  { seed: 4131, found: 'a standby deleted blobs under an epoch that was not on its disk' },
  { seed: 10134, steps: 12, found: 'the same, after user code had thrown' },
  { seed: 3, operator: true, found: 'what a disk had that came back after an override did not reach the disks that had joined before' },
  { seed: 15, operator: true, found: 'nothing of a job came back with such a disk when one of its manifests was lost' },
  {
    seed: 5113,
    steps: 8,
    operator: true,
    found: 'such a disk was a member before the others had what it alone had: a leader that died between left them without',
  },
  {
    seed: 43755,
    found:
      'sessions that an outage had cut off ended when a new leader had been connected for as long: their TaskManagers were taken for dead',
  },
]
