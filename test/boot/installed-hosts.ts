/** Three hosts with Flott installed as the README says for systemd: ZooKeeper, a JobManager and a TaskManager on each. */
import { chmodSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { type Host, namespaceNetwork } from '../chaos/hosts.js'
import { runCommand } from '../support/command.js'
import { BootedHost } from './booted-host.js'

export const ZOOKEEPER = 'flott-zookeeper.service'
export const JOBMANAGER = 'flott-jobmanager.service'
export const TASKMANAGER = 'flott-taskmanager@1.service'
/** In the order in which they are to start. */
export const UNITS = [ZOOKEEPER, JOBMANAGER, TASKMANAGER] as const
export const SLOTS_EACH = 2
/** The units' 30 s would be long to wait for; a machine with other work to do must keep it, too. */
const WATCHDOG_S = 10
/** A leader that is found dead sooner was not found by this. */
export const SESSION_TIMEOUT_S = 12
/** On each host, as a shared file system. */
export const SHARED = '/srv/flott'

/** `directory`: of this run alone, and on each host as SHARED; `cgroups`: a control group of this run. */
export async function installedHosts(directory: string, shared: string, cgroups: string): Promise<readonly BootedHost[]> {
  const network = await namespaceNetwork(['host1', 'host2', 'host3'])
  const made: BootedHost[] = []
  mkdirSync(shared, { recursive: true })
  chmodSync(shared, 0o777)
  for (const [i, host] of network.hosts.entries()) {
    const booted = await BootedHost.create(host, network.hosts, directory, cgroups)
    await booted.mount(process.cwd(), '/opt/flott', { readOnly: true })
    await booted.mount(shared, SHARED, { readOnly: false })
    await booted.mount(process.execPath, '/usr/local/bin/node', { readOnly: true, file: true })
    await booted.prepare(installation(i + 1, network.hosts))
    made.push(booted)
  }
  return made
}

function installation(id: number, hosts: readonly Host[]): string {
  const quorum = hosts.map(({ name }) => `${name}:2181`).join(',')
  const servers = hosts.map(({ name }, i) => `server.${i + 1}=${name}:2888:3888`).join('\n')
  const dropIn = (unit: string, lines: string) => `mkdir -p /etc/systemd/system/${unit}.d
cat > /etc/systemd/system/${unit}.d/host.conf << 'END'
[Service]
${lines}
END`
  return `systemd-sysusers /opt/flott/systemd/flott.sysusers
mkdir /etc/flott
sed '/^taskmanager.numberOfTaskSlots/d' /opt/flott/conf/config.yaml > /etc/flott/config.yaml
cat >> /etc/flott/config.yaml << 'END'
high-availability.type: zookeeper
high-availability.zookeeper.quorum: ${quorum}
high-availability.zookeeper.client.session-timeout: ${SESSION_TIMEOUT_S} s
high-availability.cluster-id: boot
high-availability.jobmanager.port: 6123
high-availability.replication.min-in-sync: 2
jobmanager.bind-host: 0.0.0.0
taskmanager.bind-host: 0.0.0.0
rest.bind-address: 0.0.0.0
taskmanager.numberOfTaskSlots: ${SLOTS_EACH}
taskmanager.memory.managed.size: 256 mb
END
{ sed -e '/^server/d' -e 's|^dataDir=.*|dataDir=/var/lib/flott-zookeeper|' /opt/flott/conf/zoo.cfg; echo '${servers}'; } > /etc/flott/zoo.cfg
echo FLOTT_ZOOKEEPER_ID=${id} > /etc/flott/zookeeper.env
cp /opt/flott/systemd/*.service /etc/systemd/system/
${dropIn('flott-jobmanager.service', `Environment=FLOTT_JOBMANAGER_RPC_ADDRESS=%H\nWatchdogSec=${WATCHDOG_S}`)}
${dropIn('flott-taskmanager@.service', `WatchdogSec=${WATCHDOG_S}`)}
systemctl enable ${UNITS.join(' ')}`
}

/** The control group of a run, made and removed in a mount namespace of a moment's length. */
export async function cgroupOfRun(verb: 'make' | 'remove', name: string): Promise<void> {
  const script = {
    make: 'mkdir "$0"',
    // What runs in it has ended, or is about to.
    remove:
      'for try in $(seq 100); do find "$0" -depth -type d -exec rmdir {} + 2> /dev/null; [ -e "$0" ] || exit 0; sleep 0.05; done; exit 1',
  }[verb]
  const mount = 'mount -t tmpfs tmpfs /mnt; mkdir /mnt/cgroup; mount -t cgroup2 cgroup2 /mnt/cgroup'
  const { code, stderr } = await runCommand('/usr/bin/env', [
    'unshare',
    '--mount',
    'bash',
    '-uc',
    `${mount}; ${script}`,
    join('/mnt/cgroup', name),
  ])
  if (code !== 0) throw new Error(`could not ${verb} the control group ${name}: ${stderr}`)
}
