/** `/flott/taskmanagers/:taskmanagerid/drain`: POST asks the TaskManager to go, GET says how far that is, also when it has gone. */
import type { DrainStatus } from '../gateways/dispatcher-gateway.js'

export interface DrainResponse {
  readonly 'taskmanager-id': string
  /** Another one with the same id is not the one that was to be drained. */
  readonly 'process-id': string
  readonly state: DrainStatus['state']
  /** Slots there that jobs have. */
  readonly slots: number
  readonly moving: boolean
  /** Why slots can not be freed. */
  readonly missing: readonly string[]
}
