/**
 * node dist/test/chaos/main.js --seed N [--minutes M | --steps S]   faults of a seed on real processes; a report as JSON at the end
 * …                            --hosts one                          without namespaces: all on this host, no faults of links
 * …                            --plan S                             prints the first S steps of a seed, and does nothing
 *
 * The run has a process of its own in new network, mount and process namespaces: whatever ends it, they go, and with them all hosts,
 * links, mounts and processes. Exit code 0: nothing was violated; 1: something was, and directories and logs are kept.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
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
const INTERRUPTED = 130
const PROBE = `mount -t tmpfs tmpfs /run
ip link add probe0 type bridge
ip netns add probe
ip link add probe1 type veth peer name eth0 netns probe
ip netns exec probe true`
const OWN_NAMESPACES = ['--net', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc']

if (values.plan !== undefined) printPlan(Number(values.plan))
else process.exitCode = values.inside === undefined ? await outside() : await inside(values.inside === 'namespaces')

function printPlan(steps: number): void {
  for (const step of plan(seed)) {
    if (steps-- <= 0) return
    print(JSON.stringify({ ...step, faults: step.faults.map((fault) => ({ name: nameOf(fault), ...fault })) }))
  }
}

/** Makes the namespaces, waits, and removes what is left. */
async function outside(): Promise<number> {
  const unshare = values.hosts === 'one' ? undefined : wayToUnshare()
  if (unshare === undefined)
    print('network namespaces are not permitted here (or there is no ip), or not wanted: all hosts are this one, without links')
  const directory = mkdtempSync(join(tmpdir(), 'flott-chaos-'))
  const itself = [process.execPath, ...process.argv.slice(1), '--inside', unshare === undefined ? 'one' : 'namespaces']
  const [program, ...args] = [...(unshare ?? []), ...itself]
  // A group of its own: a Ctrl-C is for this process, which tells the other one; that one also notices when this one is gone.
  const child = spawn(program!, args, {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    env: { ...process.env, TMPDIR: directory },
    detached: true,
  })
  let interrupted = false
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.on(signal, () => {
      interrupted = true
      if (child.connected) child.send('stop')
    })
  const code = await codeOf(child).then((ended) => (interrupted ? INTERRUPTED : ended))
  if (code !== 1) rmSync(directory, { recursive: true, force: true })
  else print(`directories and logs are kept in ${directory}`)
  return code
}
/** Only where everything that a run needs is permitted. */
function wayToUnshare(): string[] | undefined {
  const way = ['unshare', ...(process.getuid?.() === 0 ? [] : ['--user', '--map-root-user']), ...OWN_NAMESPACES]
  return spawnSync(way[0]!, [...way.slice(1), 'sh', '-ec', PROBE], { stdio: 'ignore' }).status === 0 ? way : undefined
}
async function codeOf(child: ChildProcess): Promise<number> {
  const [code] = (await once(child, 'exit')) as [number | null]
  return code ?? 1
}

async function inside(namespaces: boolean): Promise<number> {
  const abort = new AbortController()
  // The first process of its namespace takes all others with it; else they are ended one by one.
  const stop = () => (namespaces ? process.exit(INTERRUPTED) : abort.abort())
  process.on('message', stop)
  process.on('disconnect', stop)
  process.channel?.unref()
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
