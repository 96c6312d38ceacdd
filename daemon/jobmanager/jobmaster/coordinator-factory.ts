import { createCheckpointCoordinator } from './checkpoint/checkpoint-coordinator.js'
import type { CheckpointCoordinatorApi, JobMasterContext, SendOperatorEvents, SourceCoordinatorsApi } from './job-master-context.js'
import type { JobMasterSettings } from './job-master-settings.js'
import type { EnumeratorHost } from './sources/enumerator-host.js'
import { createSourceCoordinators } from './sources/source-coordinators.js'

export interface Coordinators {
  readonly checkpoints: CheckpointCoordinatorApi
  readonly sources: SourceCoordinatorsApi
}
/** Makes what a JobMaster coordinates its tasks with; tests put doubles there. */
export type CoordinatorFactory = (context: JobMasterContext, settings: JobMasterSettings, send: SendOperatorEvents) => Coordinators

/** The real ones; enumerators run in `host`. */
export function coordinatorFactory(host: EnumeratorHost): CoordinatorFactory {
  return (context, settings, send) => {
    const sources = createSourceCoordinators(context, send, host)
    return { sources, checkpoints: createCheckpointCoordinator(context, settings.checkpoints, sources) }
  }
}
