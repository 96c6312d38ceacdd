import { type ErrorCode, FlottError } from '#core/errors.js'

/** Return codes of the C client that we tell apart; all others mean that the operation may or may not have been applied. */
export const RC = {
  OK: 0,
  INVALID_STATE: -9,
  NO_NODE: -101,
  NO_AUTH: -102,
  BAD_VERSION: -103,
  NODE_EXISTS: -110,
  SESSION_EXPIRED: -112,
  AUTH_FAILED: -115,
  CLOSING: -116,
} as const

const CODES: Readonly<Record<number, ErrorCode>> = {
  [RC.INVALID_STATE]: 'ZOOKEEPER_SESSION_EXPIRED', // The handle is closed or expired: the operation was not sent.
  [RC.SESSION_EXPIRED]: 'ZOOKEEPER_SESSION_EXPIRED',
  [RC.CLOSING]: 'ZOOKEEPER_SESSION_EXPIRED',
  [RC.NO_AUTH]: 'ZOOKEEPER_NOT_AUTHORIZED',
  [RC.AUTH_FAILED]: 'ZOOKEEPER_NOT_AUTHORIZED',
  [RC.NO_NODE]: 'FACT_NOT_FOUND',
  [RC.BAD_VERSION]: 'FACT_CONFLICT',
  [RC.NODE_EXISTS]: 'FACT_EXISTS',
}

export function errorOf(rc: number, doing: string, text = ''): FlottError {
  return new FlottError(CODES[rc] ?? 'ZOOKEEPER_UNAVAILABLE', `${doing}: ${rc} ${text}`.trimEnd())
}
