/**
 * Rules that can be broken on purpose: a checker that can not fail proves nothing. Each switch breaks one rule as a bug would, in what
 * is injected into the product: careless-leader.ts, careless-worker.ts, careless-transport.ts, careless-operator.ts, and the sink of committed-output.ts.
 *
 * No switch makes receivers compare the czxids of epochs only. The override works while its own node is first in the election, so that
 * all nodes of former leaders are older: as long as one ZooKeeper keeps its transactions, czxids have the order of epochs. The incarnation
 * is what is left when it was set back to an older state, where czxids begin anew below those that were seen.
 */
export const BROKEN_RULES = {
  'name-before-replication': 'a blob counts as stored when it is on the leader’s own disk',
  'acknowledge-before-sync': 'a blob counts as stored before it is synced',
  'write-after-the-session': 'a leader writes over another session than that of its reign',
  'skip-sync': 'a JobManager reads what its ZooKeeper server has, and does not wait for what others have done',
  'skip-epoch-check': 'a process takes calls of any leader, however old',
  'name-hosts': 'the in-sync set names hosts, and not disks',
  'delta-since-any-snapshot': 'a delta holds what has changed since the last snapshot, complete or not',
  'roll-back-at-abort': 'an aborted checkpoint throws away what was prepared for it to be committed',
  'any-barrier': 'barriers are counted by channel, whatever checkpoint they are of',
  'repeat-checkpoint-ids': 'a new leader counts checkpoints on from the newest complete one',
  'forget-assignments': 'a new leader is not told which splits its readers have',
  'file-without-attempt': 'the name of an in-progress file does not hold its attempt',
  'acknowledge-before-fsync': 'a file is not synced when its checkpoint is acknowledged',
  'ignore-sequence-numbers': 'after a reconnect a producer goes on behind what it had sent',
  'hand-out-untouched': 'a value that is handed out to be changed does not count as touched',
  'end-with-one-marker': 'a task ends with its data, and waits for no checkpoint',
  'lead-out-of-sync': 'a JobManager leads whose disk is not in the in-sync set',
  'lead-with-holes': 'a new leader does not look whether its disk has what the nodes name',
  'forget-epochs': 'the epoch under which something is acknowledged is not on disk',
  'serve-before-recovery': 'a new leader serves before it has taken over the jobs',
  'commit-before-completion': 'a task is told that a checkpoint is complete when it has acknowledged it',
  'forget-restored-state': 'a restarted task begins without its state',
  'trust-young-registrations': 'a new leader takes TaskManagers for dead that had no time yet to come back to ZooKeeper',
  'lose-completed-checkpoint': 'a new deployment drops the newest completed checkpoint',
  'forget-drains': 'a new leader does not know which TaskManagers an earlier one was asked to drain',
  'keep-incarnation': 'the override that makes another disk the in-sync set does not raise the incarnation',
  'reset-while-members-live': 'the override does not look whether somebody of the in-sync set lives',
} as const
export type BrokenRule = keyof typeof BROKEN_RULES
