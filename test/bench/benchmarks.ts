/** All benchmarks: what each measures and what it is to reach on two cores. `npm run bench`, its --help and the README's table read this. */
export interface Benchmark {
  readonly measures: string
  readonly target: string
  /** Arguments of a part (test/bench/NAME.bench.ts) that make it small: to see that it works. Absent: it runs a cluster of daemons. */
  readonly quick?: readonly string[]
}
const AGAINST_FLINK = 'Flink in the same run, records per CPU second of the TaskManagers'

export const BENCHMARKS: Readonly<Record<string, Benchmark>> = {
  chain: { measures: 'five operators in one chain, a cluster of daemons', target: `≥ 4 × ${AGAINST_FLINK}` },
  keyed: {
    measures: 'counts by key, a cluster of daemons (`--keys`, `--taskmanagers`)',
    target: '1,000 keys ≥ 2 × Flink, 100,000 ≥ 1.5 ×, 1 million ≥ 2 ×; 100,000 across two TaskManagers ≥ 2 ×',
  },
  words: { measures: 'lines of ten words counted, a cluster of daemons', target: '≥ 1.5 × Flink' },
  failover: {
    measures: 'gap in output and control plane, next leader and its first checkpoint; leader, TaskManager or slot worker lost',
    target:
      'leader SIGKILL: serving ≤ 500 ms, checkpoint ≤ 1 s, output gap ≤ 100 ms, 0 restarts; SIGTERM: control plane gap ≤ 100 ms; ' +
      '`--unsupervised` ≤ session time-out + tickTime + 1 s; TaskManager with 100 MB of state ≤ 700 ms; slot worker ≤ 500 ms',
  },
  codec: { measures: 'records to frames and back, against msgpackr and `v8.serialize`', target: '≥ 3 × msgpackr, both ways', quick: [] },
  exchange: {
    measures: 'records between threads, between processes by TCP, within a slot',
    target: 'none: the ratio of processes to threads',
    quick: ['200000'],
  },
  'generated-chain': { measures: 'a chain of five operators, generated against class-based', target: 'none: the ratio', quick: [] },
  slot: { measures: 'a whole job in one slot', target: 'none', quick: ['200000', '100'] },
  state: {
    measures:
      'updates of keyed state against a Map; checkpoints each second, 10 % of 1 million keys dirty; a restore up to its first record',
    target: 'barrier ≤ 10 ms, loss of records per CPU second ≤ 5 % (median of interleaved pairs)',
    quick: ['0.05', '20000', '2'],
  },
  'start-up': { measures: '`start-cluster.sh`, a JobManager, a TaskManager until ready', target: '`start-cluster.sh` ≤ 5 s', quick: ['1'] },
  memory: {
    measures: 'resident memory of an idle JobManager, and TaskManager with two slots',
    target: '≤ 120 MB, ≤ 200 MB',
    quick: ['1', '1'],
  },
  adoption: {
    measures: 'a new leader adopts 1,000 running tasks of 250 simulated TaskManagers',
    target: '≤ 300 ms from the grant of leadership',
    quick: ['10', '2'],
  },
  scheduling: {
    measures: '10,000 tasks from submission to RUNNING on 1,000 simulated TaskManagers',
    target: '≤ 1 s',
    quick: ['20', '2'],
  },
}

export function printBenchmarksMarkdown(): string {
  const rows = Object.entries(BENCHMARKS).map(([name, { measures, target }]) => `| \`${name}\` | ${measures} | ${target} |`)
  return ['| name | what it measures | target on 2 cores |', '|---|---|---|', ...rows].join('\n')
}
