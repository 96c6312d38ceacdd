import { type ErrorCode, isFlottError } from '#core/errors.js'
import { isUnreachable } from '../submit/rest-cluster-client.js'

/** What scripts may rely on (README, `flott --help`). */
export const EXIT = {
  OK: 0,
  FAILURE: 1,
  USAGE: 2,
  JOB_FAILED: 3,
  JOB_CANCELED: 4,
  UNREACHABLE: 5,
  NOT_FOUND: 6,
  TIMEOUT: 7,
  NOT_AUTHORISED: 8,
  CONFIGURATION: 78,
  SIGINT: 130,
  SIGTERM: 143,
} as const

const BY_CODE: Readonly<Partial<Record<ErrorCode, number>>> = {
  INVALID_ARGUMENT: EXIT.USAGE,
  INVALID_CONFIG: EXIT.CONFIGURATION,
  JOB_FAILED: EXIT.JOB_FAILED,
  JOB_CANCELED: EXIT.JOB_CANCELED,
  JOB_NOT_FOUND: EXIT.NOT_FOUND,
  NOT_FOUND: EXIT.NOT_FOUND,
}

export function exitCodeOf(error: unknown): number {
  if (isUnreachable(error)) return isFlottError(error, 'RPC_TIMEOUT') ? EXIT.TIMEOUT : EXIT.UNREACHABLE
  return (isFlottError(error) && BY_CODE[error.code]) || EXIT.FAILURE
}
