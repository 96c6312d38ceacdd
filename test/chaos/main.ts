/**
 * node dist/test/chaos/main.js --seed N [--minutes M | --steps S]   faults of a seed on real processes; a report as JSON at the end
 * …                            --hosts one                          without namespaces: all on this host, no faults of links
 * …                            --plan S                             prints the first S steps of a seed, and does nothing
 *
 * The run has a process of its own in new network, mount and process namespaces: whatever ends it, they go, and with them all hosts,
 * links, mounts and processes. Exit code 0: nothing was violated; 1: something was, and directories and logs are kept.
 */
import { tmpdir } from 'node:os'
import { parseArgs } from 'node:util'
import { INTERRUPTED, onStop, runInside, wayToUnshare } from '../support/own-namespaces.js'
import { runChaos } from './chaos-run.js'
import { loopbackNetwork, namespaceNetwork } from './hosts.js'
import { hostNames } from './hurt-cluster.js'
import { nameOf, plan } from './plan.js'

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    minutes: { type: 'string', default: '10' },
    steps: { type: 'string' },
    jobmanagers: { type: 'string', default: '3' },
    taskmanagers: { type: 'string', default: '3' },
    hosts: { type: 'string', default: 'namespaces' },
    plan: { type: 'string' },
    /** Set for the process inside. */
    inside: { type: 'string' },
  },
})
const seed = Number(values.seed)
const print = (line: string) => void process.stdout.write(`${line}\n`)
const PROBE = `mount -t tmpfs tmpfs /run
ip link add probe0 type bridge
ip netns add probe
ip link add probe1 type veth peer name eth0 netns probe
ip netns exec probe true`

if (values.plan !== undefined) printPlan(Number(values.plan))
else process.exitCode = values.inside === undefined ? await outside() : await inside(values.inside === 'namespaces')

function printPlan(steps: number): void {
  for (const step of plan(seed)) {
    if (steps-- <= 0) return
    print(JSON.stringify({ ...step, faults: step.faults.map((fault) => ({ name: nameOf(fault), ...fault })) }))
  }
}

/** Hosts are namespaces only where everything that a run needs is permitted. */
async function outside(): Promise<number> {
  const way = values.hosts === 'one' ? undefined : wayToUnshare(PROBE)
  if (way === undefined)
    print('network namespaces are not permitted here (or there is no ip), or not wanted: all hosts are this one, without links')
  const args = ['--inside', way === undefined ? 'one' : 'namespaces']
  return runInside({ way: way ?? [], args, prefix: 'flott-chaos-', tell: print })
}

async function inside(namespaces: boolean): Promise<number> {
  const abort = new AbortController()
  // The first process of its namespace takes all others with it; else they are ended one by one.
  onStop(() => (namespaces ? process.exit(INTERRUPTED) : abort.abort()))
  const [jobManagers, taskManagers] = [Number(values.jobmanagers), Number(values.taskmanagers)]
  const names = hostNames(jobManagers, taskManagers)
  const network = namespaces ? await namespaceNetwork(names) : loopbackNetwork(names)
  const report = await runChaos({
    seed,
    ...(values.steps === undefined ? { seconds: Number(values.minutes) * 60 } : { steps: Number(values.steps) }),
    network,
    directory: tmpdir(),
    jobManagers,
    taskManagers,
    signal: abort.signal,
    tell: print,
  })
  print(JSON.stringify(report.json()))
  return report.violations.length > 0 ? 1 : 0
}
