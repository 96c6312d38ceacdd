import { type ErrorCode, isFlottError } from '#core/errors.js'
import { EXIT_CODE_OF_JOB } from '#protocol/application.js'
import { isUnreachable } from '../submit/rest-cluster-client.js'

/** What scripts may rely on: `flott --help` and the README print EXIT_MEANINGS. */
export const EXIT = {
  OK: 0,
  FAILURE: 1,
  USAGE: 2,
  JOB_FAILED: EXIT_CODE_OF_JOB.FAILED,
  JOB_CANCELED: EXIT_CODE_OF_JOB.CANCELED,
  UNREACHABLE: 5,
  NOT_FOUND: 6,
  TIMEOUT: 7,
  CONFIGURATION: 78,
  SIGINT: 130,
  SIGTERM: 143,
} as const

export const EXIT_MEANINGS: Readonly<Record<keyof typeof EXIT, string>> = {
  OK: 'ok',
  FAILURE: 'failure',
  USAGE: 'usage',
  JOB_FAILED: 'job FAILED',
  JOB_CANCELED: 'job CANCELED',
  UNREACHABLE: 'cluster unreachable',
  NOT_FOUND: 'not found',
  TIMEOUT: 'time-out',
  CONFIGURATION: 'configuration',
  SIGINT: 'ended by SIGINT',
  SIGTERM: 'ended by SIGTERM',
}

const BY_CODE: Readonly<Partial<Record<ErrorCode, number>>> = {
  INVALID_ARGUMENT: EXIT.USAGE,
  INVALID_CONFIG: EXIT.CONFIGURATION,
  JOB_FAILED: EXIT.JOB_FAILED,
  JOB_CANCELED: EXIT.JOB_CANCELED,
  JOB_NOT_FOUND: EXIT.NOT_FOUND,
  CHECKPOINT_NOT_FOUND: EXIT.NOT_FOUND,
  NOT_FOUND: EXIT.NOT_FOUND,
}

export function exitCodeOf(error: unknown): number {
  if (isUnreachable(error)) return isFlottError(error, 'RPC_TIMEOUT') ? EXIT.TIMEOUT : EXIT.UNREACHABLE
  return (isFlottError(error) && BY_CODE[error.code]) || EXIT.FAILURE
}

/** '0 ok, 1 failure, …'. */
export function printExitCodes(): string {
  return (Object.keys(EXIT) as (keyof typeof EXIT)[]).map((name) => `${EXIT[name]} ${EXIT_MEANINGS[name]}`).join(', ')
}
