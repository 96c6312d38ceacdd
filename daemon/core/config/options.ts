/**
 * Every configuration key: default, kind, scope and doc in one place. conf/config.yaml, `--help`, validation and the README's table
 * come from it. Keys, units and meanings are Flink's where Flink has them; where a default differs, the doc says why.
 */
import { boolean, duration, hostPorts, integer, memorySize, number, type OptionKind, oneOf, portRange, text } from './option-kinds.js'

export interface OptionSpec {
  /** As text, parsed by `kind`. */
  readonly default: string
  readonly kind: OptionKind<unknown, unknown>
  /** 'job': may also be set by a program or by `flott run -D`; 'cluster': by the daemon's configuration only; 'client': by the CLI's. */
  readonly scope: 'cluster' | 'job' | 'client'
  readonly doc: string
}

export const OPTIONS = {
  // Addresses.
  'jobmanager.rpc.address': {
    default: 'localhost',
    kind: text,
    scope: 'cluster',
    doc: 'Host of the JobManager. With high-availability.type none, TaskManagers and the CLI find it here.',
  },
  'jobmanager.rpc.port': {
    default: '6123',
    kind: portRange,
    scope: 'cluster',
    doc: 'Port of its internal endpoint (RPC and blobs). TaskManagers find it there: where there are some it must be one port, and neither 0, which is whatever is free, nor a range.',
  },
  'jobmanager.bind-host': {
    default: 'localhost',
    kind: text,
    scope: 'cluster',
    doc: 'Address that the internal endpoint of the JobManager listens on.',
  },
  'high-availability.jobmanager.port': {
    default: '0',
    kind: portRange,
    scope: 'cluster',
    doc: 'Port of the internal endpoint when high-availability.type is zookeeper; others find it through ZooKeeper.',
  },
  'jobmanager.resource-id': {
    default: '',
    kind: text,
    scope: 'cluster',
    doc: 'Name of this JobManager in logs and in the in-sync set; host and port when not set.',
  },
  'jobmanager.data.dir': {
    default: 'var/jobmanager',
    kind: text,
    scope: 'cluster',
    doc: 'Directory of the LevelDB with blobs and checkpoints. One daemon a directory; relative to the installation.',
  },
  'rest.address': {
    default: 'localhost',
    kind: text,
    scope: 'client',
    doc: 'Host that the CLI talks to when it does not look the leader up in ZooKeeper.',
  },
  'rest.port': {
    default: '8081',
    kind: integer(0, 65_535),
    scope: 'client',
    doc: 'Port that the CLI talks to, and that the JobManager listens on unless rest.bind-port is set.',
  },
  'rest.bind-address': { default: 'localhost', kind: text, scope: 'cluster', doc: 'Address that the REST endpoint listens on.' },
  'rest.bind-port': {
    default: '',
    kind: text,
    scope: 'cluster',
    doc: 'Port, or range such as 8081-8090, that the REST endpoint listens on; rest.port when not set; 0 takes any free one.',
  },
  'rest.server.max-content-length': {
    default: '100 mb',
    kind: memorySize,
    scope: 'cluster',
    doc: 'Largest request body, and so the largest job artifact.',
  },
  'rest.connection-timeout': {
    default: '15 s',
    kind: duration,
    scope: 'client',
    doc: 'How long the CLI waits for a leader, where it looks it up in ZooKeeper.',
  },
  'client.timeout': {
    default: '60 s',
    kind: duration,
    scope: 'client',
    doc: 'How long the CLI tries to reach a cluster that does not answer, and how long flott cancel waits for the end of the job.',
  },
  'rest.retry.max-attempts': {
    default: '20',
    kind: integer(0),
    scope: 'client',
    doc: 'How often the CLI repeats a request that failed for a reason that may pass.',
  },
  'rest.retry.delay': { default: '3 s', kind: duration, scope: 'client', doc: 'Longest pause between such tries; they begin with 100 ms.' },
  // High availability.
  'high-availability.type': {
    default: 'none',
    kind: oneOf('none', 'zookeeper'),
    scope: 'cluster',
    doc: 'zookeeper: several JobManagers, one leads, the others stand by. none: one JobManager, no ZooKeeper.',
  },
  'high-availability.cluster-id': { default: 'default', kind: text, scope: 'cluster', doc: 'Name of this cluster in ZooKeeper.' },
  'high-availability.zookeeper.quorum': {
    default: '',
    kind: hostPorts,
    scope: 'cluster',
    doc: 'The ZooKeeper servers: host:port,host:port…',
  },
  'high-availability.zookeeper.path.root': { default: '/flott', kind: text, scope: 'cluster', doc: 'Root node in ZooKeeper.' },
  'high-availability.zookeeper.client.session-timeout': {
    default: '6 s',
    kind: duration,
    scope: 'cluster',
    doc: 'How long ZooKeeper keeps the session of a process that went silent. Flink: 60 s; crashes of supervised daemons are noticed at once anyway.',
  },
  'high-availability.zookeeper.client.connection-timeout': {
    default: '15 s',
    kind: duration,
    scope: 'cluster',
    doc: 'How long a daemon waits for its first connection to ZooKeeper.',
  },
  'high-availability.zookeeper.client.acl': {
    default: 'open',
    kind: oneOf('open', 'creator'),
    scope: 'cluster',
    doc: 'creator: nodes are readable and writable with high-availability.zookeeper.client.authorization only.',
  },
  'high-availability.zookeeper.client.authorization': {
    default: '',
    kind: text,
    scope: 'cluster',
    doc: 'digest credentials, user:password.',
  },
  'high-availability.replication.min-in-sync': {
    default: '1',
    kind: integer(1, 9),
    scope: 'cluster',
    doc: 'The leader accepts nothing new when fewer JobManagers than this are in sync.',
  },
  'high-availability.replication.timeout': {
    default: '5 s',
    kind: duration,
    scope: 'cluster',
    doc: 'A standby that takes no more of a blob for this long leaves the in-sync set.',
  },
  // TaskManagers and slots.
  'taskmanager.host': {
    default: '',
    kind: text,
    scope: 'cluster',
    doc: 'Host under which others reach this TaskManager; found by itself when not set.',
  },
  'taskmanager.bind-host': { default: 'localhost', kind: text, scope: 'cluster', doc: 'Address that the TaskManager listens on.' },
  'taskmanager.rpc.port': { default: '0', kind: portRange, scope: 'cluster', doc: 'Port of the internal endpoint of the TaskManager.' },
  'taskmanager.data.port': {
    default: '0',
    kind: integer(0, 65_535),
    scope: 'cluster',
    doc: 'Port on which other TaskManagers fetch records.',
  },
  'taskmanager.resource-id': {
    default: '',
    kind: text,
    scope: 'cluster',
    doc: 'Unique name of this TaskManager; made at start when not set.',
  },
  'taskmanager.numberOfTaskSlots': {
    default: '1',
    kind: integer(1, 1024),
    scope: 'cluster',
    doc: 'Slots of this TaskManager: one thread, and one share of taskmanager.memory.managed.size, each.',
  },
  'taskmanager.memory.managed.size': {
    default: '1 g',
    kind: memorySize,
    scope: 'cluster',
    doc: "Memory of all slots together: heap, buffers and state. A task that outgrows its slot's share fails with MEMORY_EXCEEDED.",
  },
  'taskmanager.memory.segment-size': { default: '32 kb', kind: memorySize, scope: 'cluster', doc: 'Size of a frame between two tasks.' },
  'taskmanager.network.memory.buffers-per-channel': {
    default: '8',
    kind: integer(2, 64),
    scope: 'cluster',
    doc: 'Frames in flight on a channel.',
  },
  'taskmanager.leaderless-timeout': {
    default: '60 s',
    kind: duration,
    scope: 'cluster',
    doc: 'Tasks run on this long without ZooKeeper and a leader, then they stop.',
  },
  'taskmanager.drain.timeout': {
    default: '30 s',
    kind: duration,
    scope: 'cluster',
    doc: 'How long a TaskManager that is to go (SIGTERM, flott drain) waits for its tasks to move; then it goes anyway. 0 s: at once.',
  },
  'task.cancellation.timeout': {
    default: '180 s',
    kind: duration,
    scope: 'cluster',
    doc: 'A slot worker whose task has not ended this long after its cancellation is thrown away.',
  },
  'task.watchdog.timeout': {
    default: '30 s',
    kind: duration,
    scope: 'cluster',
    doc: 'User code that blocks its slot worker for this long fails (TASK_BLOCKED); 0 s: never.',
  },
  'slot.request.timeout': { default: '5 min', kind: duration, scope: 'job', doc: 'How long a job waits for the slots that it needs.' },
  'heartbeat.interval': { default: '1 s', kind: duration, scope: 'cluster', doc: 'How often a heartbeat is requested. Flink: 10 s.' },
  'heartbeat.timeout': {
    default: '5 s',
    kind: duration,
    scope: 'cluster',
    doc: 'Silence after which a peer is lost. Above heartbeat.interval. Flink: 50 s.',
  },
  'io.tmp.dirs': {
    default: '',
    kind: text,
    scope: 'cluster',
    doc: "Directory for unpacked artifacts and local copies of state; the system's when not set.",
  },
  'execution.checkpointing.local-backup.enabled': {
    default: 'true',
    kind: boolean,
    scope: 'cluster',
    doc: 'A TaskManager keeps a copy of what its tasks put into the newest checkpoint, so that they restore without the network. Flink: false.',
  },
  'execution.checkpointing.local-backup.dirs': {
    default: '',
    kind: text,
    scope: 'cluster',
    doc: 'Directory of these copies; io.tmp.dirs when not set.',
  },
  'execution.checkpointing.local-backup.max-size': {
    default: '1 g',
    kind: memorySize,
    scope: 'cluster',
    doc: 'Size of all copies of one TaskManager; what does not fit is fetched from the leader at a restore.',
  },
  'jobstore.max-capacity': { default: '1000', kind: integer(1), scope: 'cluster', doc: 'How many ended jobs are kept.' },
  'jobstore.expiration-time': { default: '1 h', kind: duration, scope: 'cluster', doc: 'How long an ended job is kept.' },
  // Logs.
  'env.log.dir': {
    default: 'var/log',
    kind: text,
    scope: 'cluster',
    doc: 'Directory of the log files that the scripts write; relative to the installation.',
  },
  'env.log.level': { default: 'info', kind: oneOf('debug', 'info', 'warn', 'error'), scope: 'cluster', doc: 'Least level that is logged.' },
  'env.pid.dir': {
    default: 'var/run',
    kind: text,
    scope: 'cluster',
    doc: 'Directory of pid files and session credentials; relative to the installation.',
  },
  'env.ssh.opts': { default: '', kind: text, scope: 'cluster', doc: 'Options that the scripts give to ssh.' },
  // Jobs.
  'parallelism.default': {
    default: '1',
    kind: integer(1, 32_768),
    scope: 'job',
    doc: 'Parallelism of operators that do not say their own.',
  },
  'pipeline.name': { default: '', kind: text, scope: 'job', doc: 'Name of the job, over what the program says.' },
  'pipeline.max-parallelism': {
    default: '-1',
    kind: integer(-1, 32_768),
    scope: 'job',
    doc: 'Number of key groups, and so the highest parallelism ever; -1: derived from the parallelism as Flink does, 128 at least.',
  },
  'pipeline.auto-generate-uids': { default: 'true', kind: boolean, scope: 'job', doc: 'false: an operator with state must have a uid.' },
  'pipeline.auto-watermark-interval': { default: '200 ms', kind: duration, scope: 'job', doc: 'How often watermarks are emitted.' },
  'pipeline.operator-chaining.enabled': { default: 'true', kind: boolean, scope: 'job', doc: 'false: each operator is a task of its own.' },
  'pipeline.freeze-records': {
    default: 'false',
    kind: boolean,
    scope: 'job',
    doc: 'Freezes each record deeply, so that a change after emit throws at the line that makes it. For debugging.',
  },
  'pipeline.global-job-parameters': {
    default: '',
    kind: text,
    scope: 'job',
    doc: 'key:value,key:value… that user functions read from the RuntimeContext.',
  },
  'execution.runtime-mode': {
    default: 'STREAMING',
    kind: oneOf('STREAMING', 'BATCH', 'AUTOMATIC'),
    scope: 'job',
    doc: 'Only STREAMING is implemented; BATCH and AUTOMATIC run as streaming jobs.',
  },
  'execution.buffer-timeout.interval': {
    default: '100 ms',
    kind: duration,
    scope: 'job',
    doc: 'A frame that is not full leaves after this time; 0: after each record.',
  },
  'execution.attached': { default: 'true', kind: boolean, scope: 'client', doc: 'flott run waits for the job. -d sets false.' },
  'execution.shutdown-on-attached-exit': {
    default: 'false',
    kind: boolean,
    scope: 'client',
    doc: 'An attached flott run that is ended cancels the job. -sae sets true.',
  },
  'execution.shutdown-on-application-finish': {
    default: 'true',
    kind: boolean,
    scope: 'cluster',
    doc: 'The JobManagers of an application (standalone-job.sh) end with its job. false: they go on, and show what became of it.',
  },
  'execution.checkpointing.interval': { default: '0 ms', kind: duration, scope: 'job', doc: 'How often a checkpoint begins; 0: never.' },
  'execution.checkpointing.mode': {
    default: 'EXACTLY_ONCE',
    kind: oneOf('EXACTLY_ONCE', 'AT_LEAST_ONCE'),
    scope: 'job',
    doc: 'AT_LEAST_ONCE does not hold channels back while barriers arrive.',
  },
  'execution.checkpointing.timeout': { default: '10 min', kind: duration, scope: 'job', doc: 'A checkpoint that takes longer is aborted.' },
  'execution.checkpointing.min-pause': {
    default: '0 ms',
    kind: duration,
    scope: 'job',
    doc: 'Least time between the end of a checkpoint and the begin of the next.',
  },
  'execution.checkpointing.tolerable-failed-checkpoints': {
    default: '0',
    kind: integer(0),
    scope: 'job',
    doc: 'How many checkpoints may fail in a row before the job does. A disk that is full or a leader out of reach does not count.',
  },
  'execution.checkpointing.num-retained': {
    default: '3',
    kind: integer(1, 100),
    scope: 'job',
    doc: 'How many completed checkpoints are kept. Flink: 1.',
  },
  'execution.checkpointing.externalized-checkpoint-retention': {
    default: 'RETAIN_ON_CANCELLATION',
    kind: oneOf('RETAIN_ON_CANCELLATION', 'DELETE_ON_CANCELLATION', 'NO_EXTERNALIZED_CHECKPOINTS'),
    scope: 'job',
    doc: 'What becomes of them when the job ends: kept when it was cancelled or failed; only when it failed; never. Those of a job that has finished go. Flink: NO_EXTERNALIZED_CHECKPOINTS.',
  },
  'execution.state-recovery.path': {
    default: '',
    kind: text,
    scope: 'job',
    doc: 'Retained checkpoint that a new job starts from: flott:/<job id>/chk-<n>, or the id of a job for its newest. flott run -s sets it.',
  },
  'execution.state-recovery.ignore-unclaimed-state': {
    default: 'false',
    kind: boolean,
    scope: 'job',
    doc: 'true: state in that checkpoint that the program has no operator for is left behind. flott run -n sets it.',
  },
  'restart-strategy.type': {
    default: '',
    kind: oneOf('', 'none', 'fixed-delay', 'failure-rate', 'exponential-delay'),
    scope: 'job',
    doc: 'Not set: exponential-delay with checkpoints, none without.',
  },
  'restart-strategy.fixed-delay.attempts': { default: '1', kind: integer(0), scope: 'job', doc: 'How many restarts.' },
  'restart-strategy.fixed-delay.delay': {
    default: '1 s',
    kind: duration,
    scope: 'job',
    doc: 'Pause before each; after a lost TaskManager counted from the restart before.',
  },
  'restart-strategy.failure-rate.max-failures-per-interval': {
    default: '1',
    kind: integer(1),
    scope: 'job',
    doc: 'More failures than this within the interval fail the job.',
  },
  'restart-strategy.failure-rate.failure-rate-interval': { default: '1 min', kind: duration, scope: 'job', doc: 'The interval.' },
  'restart-strategy.failure-rate.delay': { default: '1 s', kind: duration, scope: 'job', doc: 'Pause before each restart, as above.' },
  'restart-strategy.exponential-delay.initial-backoff': {
    default: '100 ms',
    kind: duration,
    scope: 'job',
    doc: 'First pause; after a lost TaskManager counted from the restart before. Flink: 1 s.',
  },
  'restart-strategy.exponential-delay.max-backoff': { default: '1 min', kind: duration, scope: 'job', doc: 'Longest pause.' },
  'restart-strategy.exponential-delay.backoff-multiplier': {
    default: '1.5',
    kind: number(1, 100),
    scope: 'job',
    doc: 'Each pause is this times the last.',
  },
  'restart-strategy.exponential-delay.jitter-factor': {
    default: '0.1',
    kind: number(0, 1),
    scope: 'job',
    doc: 'Share of the pause that is random.',
  },
  'restart-strategy.exponential-delay.reset-backoff-threshold': {
    default: '1 h',
    kind: duration,
    scope: 'job',
    doc: 'Running this long without a failure resets the pause.',
  },
  'restart-strategy.exponential-delay.attempts-before-reset-backoff': {
    default: '-1',
    kind: integer(-1),
    scope: 'job',
    doc: 'Restarts before the job fails, counted since the last reset; -1: no limit.',
  },
} as const satisfies Record<string, OptionSpec>

export type OptionKey = keyof typeof OPTIONS
type ValueOf<K extends OptionKey> = (typeof OPTIONS)[K]['kind'] extends OptionKind<infer V, infer _I> ? V : never
type InputOf<K extends OptionKey> = (typeof OPTIONS)[K]['kind'] extends OptionKind<infer _V, infer I> ? I : never

/** All keys with parsed values: durations in ms, sizes in bytes. */
export type Config = { readonly [K in OptionKey]: ValueOf<K> }
export type JobOptionKey = { [K in OptionKey]: (typeof OPTIONS)[K]['scope'] extends 'job' ? K : never }[OptionKey]
/** What a program may set: the job's keys, typed as the API takes them. */
export type JobConfiguration = { readonly [K in JobOptionKey]?: InputOf<K> }
