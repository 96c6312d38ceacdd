/**
 * Operating errors: each has a stable code, and the table says what a caller may conclude from it. A broken invariant is not
 * listed here: it is an assert and ends the task or the process. REST status, CLI hint, retry policy and the README read this table.
 */
export interface ErrorSpec {
  /** Whether the operation took effect: certainly not, or unknown. */
  readonly outcome: 'not-applied' | 'unknown'
  readonly retry: boolean
  readonly http: number
  readonly doc: string
}

export const ERRORS = {
  // Cluster and RPC.
  SLOT_NOT_AVAILABLE: {
    outcome: 'not-applied',
    retry: true,
    http: 503,
    doc: 'No free slot matches. Add TaskManagers or lower the parallelism.',
  },
  NOT_LEADER: { outcome: 'not-applied', retry: true, http: 503, doc: 'Leadership moved. Look the leader up again.' },
  LEADER_UNKNOWN: { outcome: 'not-applied', retry: true, http: 503, doc: 'No leader is known at the moment. Try again.' },
  LEADER_SUSPENDED: {
    outcome: 'not-applied',
    retry: true,
    http: 503,
    doc: 'The leader has lost its connection to ZooKeeper and decides nothing until it is back.',
  },
  RPC_TIMEOUT: { outcome: 'unknown', retry: true, http: 504, doc: 'It may have been applied. Retry only what is idempotent.' },
  CONNECTION_LOST: { outcome: 'unknown', retry: true, http: 503, doc: 'The connection to the peer closed before it answered.' },
  CONNECTION_REFUSED: { outcome: 'not-applied', retry: true, http: 503, doc: 'The peer can not be reached.' },
  RPC_OVERLOADED: { outcome: 'not-applied', retry: true, http: 503, doc: 'Too many calls are in flight on the connection. Try again.' },
  UNKNOWN_METHOD: { outcome: 'not-applied', retry: false, http: 404, doc: 'The peer runs another version.' },
  ILLEGAL_TRANSITION: { outcome: 'not-applied', retry: false, http: 409, doc: 'The entity is in no state for this.' },
  SHUTTING_DOWN: { outcome: 'not-applied', retry: true, http: 503, doc: 'The process is stopping.' },
  INTERNAL: { outcome: 'unknown', retry: false, http: 500, doc: 'An unexpected error. The log has the stack trace.' },
  // Configuration and start-up.
  INVALID_CONFIG: { outcome: 'not-applied', retry: false, http: 400, doc: 'A configuration key is unknown or its value does not parse.' },
  STARTUP_FAILED: { outcome: 'not-applied', retry: false, http: 500, doc: 'A daemon could not start.' },
  // High availability and storage.
  ZOOKEEPER_UNAVAILABLE: {
    outcome: 'unknown',
    retry: true,
    http: 503,
    doc: 'ZooKeeper did not answer. What was to be written may have been.',
  },
  ZOOKEEPER_SESSION_EXPIRED: {
    outcome: 'unknown',
    retry: true,
    http: 503,
    doc: 'The ZooKeeper session of the leader ended, and another one leads soon. A write may have been applied.',
  },
  ZOOKEEPER_NOT_AUTHORIZED: {
    outcome: 'not-applied',
    retry: false,
    http: 403,
    doc: 'ZooKeeper refused the access: check high-availability.zookeeper.client.authorization.',
  },
  FACT_CONFLICT: { outcome: 'not-applied', retry: false, http: 409, doc: 'The fact was changed by someone else since it was read.' },
  FACT_EXISTS: { outcome: 'not-applied', retry: false, http: 409, doc: 'A fact of this name exists with other content.' },
  FACT_NOT_FOUND: { outcome: 'not-applied', retry: false, http: 404, doc: 'No such fact.' },
  FACT_TOO_LARGE: { outcome: 'not-applied', retry: false, http: 413, doc: 'A fact may have 64 KiB at most.' },
  CLUSTER_MISMATCH: {
    outcome: 'not-applied',
    retry: false,
    http: 500,
    doc: 'The data directory belongs to another cluster. Nothing was deleted.',
  },
  NOT_IN_SYNC: {
    outcome: 'not-applied',
    retry: true,
    http: 503,
    doc: "This JobManager's disk is not in the in-sync set, so it may not lead.",
  },
  IN_SYNC_MEMBER_LIVES: {
    outcome: 'not-applied',
    retry: false,
    http: 409,
    doc: 'A JobManager of the in-sync set leads, or can: the set must not be reset.',
  },
  DATA_DIRECTORY_LOCKED: { outcome: 'not-applied', retry: false, http: 500, doc: 'Another process uses the data directory.' },
  DATA_DIRECTORY_UNUSABLE: { outcome: 'not-applied', retry: false, http: 500, doc: 'The data directory can not be read or written.' },
  STORAGE_FULL: { outcome: 'not-applied', retry: true, http: 507, doc: 'The disk is full.' },
  STORAGE_FAILED: { outcome: 'unknown', retry: true, http: 500, doc: 'The disk or the database answered with an error.' },
  BLOB_NOT_FOUND: { outcome: 'not-applied', retry: false, http: 404, doc: 'No such blob.' },
  BLOB_EXISTS: { outcome: 'not-applied', retry: false, http: 409, doc: 'A blob of this name exists with other content.' },
  BLOB_CORRUPT: { outcome: 'not-applied', retry: false, http: 500, doc: "A blob's checksum does not match its content." },
  REPLICATION_FAILED: { outcome: 'unknown', retry: true, http: 503, doc: 'Too few in-sync JobManagers hold the blob.' },
  // REST and jobs.
  BAD_REQUEST: { outcome: 'not-applied', retry: false, http: 400, doc: 'The request is malformed.' },
  NOT_FOUND: { outcome: 'not-applied', retry: false, http: 404, doc: 'No such resource.' },
  METHOD_NOT_ALLOWED: { outcome: 'not-applied', retry: false, http: 405, doc: 'The resource does not take this method.' },
  PAYLOAD_TOO_LARGE: { outcome: 'not-applied', retry: false, http: 413, doc: 'The body is larger than the limit.' },
  JOB_NOT_FOUND: { outcome: 'not-applied', retry: false, http: 404, doc: 'No such job.' },
  JOB_ALREADY_TERMINATED: { outcome: 'not-applied', retry: false, http: 409, doc: 'The job has ended already.' },
  CHECKPOINT_NOT_FOUND: {
    outcome: 'not-applied',
    retry: false,
    http: 404,
    doc: 'No such checkpoint is retained. flott list --retained shows those that are.',
  },
  CHECKPOINT_IN_USE: {
    outcome: 'not-applied',
    retry: false,
    http: 409,
    doc: 'The job of the checkpoint has not ended and needs it, or replaces it at any moment.',
  },
  JOB_SUBMISSION_FAILED: { outcome: 'not-applied', retry: false, http: 400, doc: 'The job was refused.' },
  JOB_FAILED: { outcome: 'unknown', retry: false, http: 500, doc: 'The job ended FAILED; the cause says why.' },
  JOB_CANCELED: { outcome: 'unknown', retry: false, http: 500, doc: 'The job was cancelled.' },
  PARALLELISM_ABOVE_MAX: {
    outcome: 'not-applied',
    retry: false,
    http: 400,
    doc: "An operator's parallelism is above its max parallelism.",
  },
  ARTIFACT_TOO_LARGE: {
    outcome: 'not-applied',
    retry: false,
    http: 413,
    doc: "The job's artifact is larger than rest.server.max-content-length.",
  },
  // Building a graph: thrown by the line that is wrong.
  DUPLICATE_UID: { outcome: 'not-applied', retry: false, http: 400, doc: 'Two operators have one uid.' },
  UID_MISSING: {
    outcome: 'not-applied',
    retry: false,
    http: 400,
    doc: 'An operator with state has no uid and pipeline.auto-generate-uids is false.',
  },
  DUPLICATE_STATE: { outcome: 'not-applied', retry: false, http: 400, doc: 'An operator declares two states of one name.' },
  STATE_DECLARED_LATE: { outcome: 'not-applied', retry: false, http: 400, doc: 'getState of a class was called after its constructor.' },
  INSTANCE_SHARED: { outcome: 'not-applied', retry: false, http: 400, doc: 'One function object serves two operators.' },
  ASYNC_FUNCTION: {
    outcome: 'not-applied',
    retry: false,
    http: 400,
    doc: 'A user function is async or a generator where it must be synchronous.',
  },
  MERGE_MISSING: { outcome: 'not-applied', retry: false, http: 400, doc: 'An aggregate needs merge here.' },
  FOREIGN_STREAM: { outcome: 'not-applied', retry: false, http: 400, doc: 'A stream of another environment.' },
  EMPTY_GRAPH: { outcome: 'not-applied', retry: false, http: 400, doc: 'The program has no sink, or never calls execute.' },
  INVALID_DURATION: { outcome: 'not-applied', retry: false, http: 400, doc: 'Not a duration such as 500 ms, 5 s, 1 min.' },
  INVALID_ARGUMENT: { outcome: 'not-applied', retry: false, http: 400, doc: 'An argument is out of its range.' },
  JOB_ARGS_NOT_JSON: { outcome: 'not-applied', retry: false, http: 400, doc: 'The arguments of a defineJob are not plain JSON.' },
  PROGRAM_FAILED: { outcome: 'not-applied', retry: false, http: 400, doc: 'The program threw while it built its graph.' },
  BUNDLE_FAILED: { outcome: 'not-applied', retry: false, http: 400, doc: 'The program could not be bundled.' },
  // Deployment.
  GRAPH_NOT_DETERMINISTIC: { outcome: 'not-applied', retry: false, http: 400, doc: 'The slot built another graph than the client.' },
  STATE_INCOMPATIBLE: { outcome: 'not-applied', retry: false, http: 400, doc: 'Stored state does not fit the declared type.' },
  STATE_NOT_RESTORED: {
    outcome: 'not-applied',
    retry: false,
    http: 400,
    doc: 'The snapshot has state of an operator that the job does not have.',
  },
  MAX_PARALLELISM_CHANGED: {
    outcome: 'not-applied',
    retry: false,
    http: 400,
    doc: 'The checkpoint has state for another number of key groups, which is the max parallelism and can not change.',
  },
  USER_CODE_LOAD_FAILED: { outcome: 'not-applied', retry: false, http: 400, doc: 'The artifact could not be loaded.' },
  // At a record: the task fails.
  USER_FUNCTION_FAILED: { outcome: 'unknown', retry: false, http: 500, doc: 'A user function threw.' },
  KEY_UNSUPPORTED: {
    outcome: 'not-applied',
    retry: false,
    http: 400,
    doc: 'A key is null, NaN, an object or of another type that can not be a key.',
  },
  NO_TIMESTAMP: {
    outcome: 'not-applied',
    retry: false,
    http: 400,
    doc: 'A record has no time stamp: assign one with a watermark strategy.',
  },
  STATE_NOT_DECLARED: { outcome: 'not-applied', retry: false, http: 400, doc: 'A state was used that the operator does not declare.' },
  USED_AFTER_CALL: {
    outcome: 'not-applied',
    retry: false,
    http: 400,
    doc: 'A context, collector or edit() value was used after its call had returned.',
  },
  PROMISE_RETURNED: { outcome: 'not-applied', retry: false, http: 400, doc: 'A synchronous user function returned a promise.' },
  RECORD_NOT_SERIALIZABLE: {
    outcome: 'not-applied',
    retry: false,
    http: 400,
    doc: 'A record holds what can not be sent: a function, a symbol, a class instance with private state.',
  },
  RECORD_TOO_LARGE: { outcome: 'not-applied', retry: false, http: 413, doc: 'A record takes more than 128 MiB to send.' },
  RECORD_TYPE_MISMATCH: { outcome: 'not-applied', retry: false, http: 400, doc: 'A record does not match its declared type.' },
  ASYNC_TIMEOUT: { outcome: 'unknown', retry: false, http: 500, doc: 'An asynchronous call took longer than its timeout.' },
  // Tasks and checkpoints.
  MEMORY_EXCEEDED: { outcome: 'unknown', retry: false, http: 500, doc: 'A slot outgrew its share of taskmanager.memory.managed.size.' },
  TASK_BLOCKED: {
    outcome: 'unknown',
    retry: false,
    http: 500,
    doc: 'User code blocked the slot worker for longer than the watchdog allows.',
  },
  TASK_MANAGER_GIVEN_UP: {
    outcome: 'not-applied',
    retry: true,
    http: 409,
    doc: 'The leader has given this TaskManager up and runs its tasks elsewhere: it is taken again when it has stopped those that it has.',
  },
  TASK_LOST: { outcome: 'unknown', retry: false, http: 500, doc: 'The TaskManager or slot worker that ran the task is gone.' },
  CHANNEL_BROKEN: {
    outcome: 'unknown',
    retry: false,
    http: 500,
    doc: 'A channel between two tasks closed or lost a frame before its end.',
  },
  CHECKPOINT_FAILED: { outcome: 'not-applied', retry: false, http: 500, doc: 'A checkpoint was declined, expired or could not be stored.' },
  CHECKPOINT_NOT_RESTORABLE: {
    outcome: 'not-applied',
    retry: false,
    http: 500,
    doc: 'The newest completed checkpoint can not be read; the message names the blob.',
  },
  NO_RESOURCE_AVAILABLE: {
    outcome: 'not-applied',
    retry: false,
    http: 503,
    doc: 'The slots that a job needs did not become free within slot.request.timeout.',
  },
} as const satisfies Record<string, ErrorSpec>

export type ErrorCode = keyof typeof ERRORS

export interface FlottErrorOptions extends ErrorOptions {
  /** uid or name of the operator concerned, where there is one. */
  readonly operator?: string
}

/** An operating error. Branch on `code`, never on the text. */
export class FlottError extends Error {
  override readonly name = 'FlottError'
  readonly operator?: string
  constructor(
    readonly code: ErrorCode,
    message: string,
    options?: FlottErrorOptions,
  ) {
    super(message.startsWith(`${code}: `) ? message : `${code}: ${message}`, options)
    if (options?.operator !== undefined) this.operator = options.operator
  }
}

/** An error as plain data, for wires and blobs. `cause` nests at most 8 deep. */
export interface SerializedError {
  readonly name: string
  readonly code?: ErrorCode
  readonly message: string
  readonly stack?: string
  readonly operator?: string
  readonly cause?: SerializedError
}

export function serializeError(error: unknown, depth = 8): SerializedError {
  if (!(error instanceof Error)) return { name: 'Error', message: String(error) }
  const code = (error as { code?: unknown }).code
  const operator = (error as { operator?: unknown }).operator
  return {
    name: error.name,
    message: error.message,
    ...(typeof code === 'string' && Object.hasOwn(ERRORS, code) ? { code: code as ErrorCode } : {}),
    ...(error.stack === undefined ? {} : { stack: error.stack }),
    ...(typeof operator === 'string' ? { operator } : {}),
    ...(error.cause === undefined || depth <= 1 ? {} : { cause: serializeError(error.cause, depth - 1) }),
  }
}

export function deserializeError(data: SerializedError): Error {
  const options = data.cause === undefined ? undefined : { cause: deserializeError(data.cause) }
  const error =
    data.code === undefined
      ? Object.assign(new Error(data.message, options), { name: data.name })
      : new FlottError(data.code, data.message, { ...options, ...(data.operator === undefined ? {} : { operator: data.operator }) })
  if (data.stack !== undefined) error.stack = data.stack
  return error
}

export function isFlottError(error: unknown, ...codes: readonly ErrorCode[]): error is FlottError {
  return error instanceof FlottError && (codes.length === 0 || codes.includes(error.code))
}

/** True when the same call may succeed later: leadership moves, a peer is away, a disk is full. */
export function isTransient(error: unknown): error is FlottError {
  return isFlottError(error) && ERRORS[error.code].retry
}

/** True when the call, and not what it asked for, is in trouble: the peer has refused nothing, so an idempotent one is made again. */
export function isCallTrouble(error: unknown): error is FlottError {
  return isFlottError(error, 'RPC_TIMEOUT', 'CONNECTION_LOST', 'RPC_OVERLOADED')
}

/** True when it, or what caused it, may pass by itself: no fault of whoever wanted it. */
export function isPassingTrouble(error: unknown): boolean {
  return causes(error).some(isTransient)
}

/** True when it, or what caused it, is that a disk did not take what was to be stored, or too few did. */
export function isStorageTrouble(error: unknown): boolean {
  return causes(error).some((cause) => isFlottError(cause, 'STORAGE_FULL', 'STORAGE_FAILED', 'REPLICATION_FAILED'))
}

function causes(error: unknown): Error[] {
  const chain: Error[] = []
  for (let at = error; at instanceof Error && chain.length < 8; at = at.cause) chain.push(at)
  return chain
}
