/** What this machine lacks for booting hosts in namespaces. */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { wayToUnshare } from '../support/own-namespaces.js'

/** Exit code of a run that this machine can not do. */
export const UNAVAILABLE = 69
export const SYSTEMD = '/lib/systemd/systemd'
const ZOOKEEPER_JAR = '/usr/share/java/zookeeper.jar'
const PROGRAMS = [
  'unshare',
  'nsenter',
  'ip',
  'mount',
  'pivot_root',
  'systemctl',
  'journalctl',
  'systemd-sysusers',
  'systemd-notify',
  'java',
]

/** In namespaces of its own, so that nothing of it stays. Each step is tried only when those before it went well. */
const STEPS: readonly (readonly [what: string, script: string])[] = [
  ['network, mount and process namespaces', 'true'],
  ['a tmpfs', 'mount -t tmpfs tmpfs /run && mkdir /run/upper /run/work /run/root /run/cgroup'],
  ['device nodes', 'mknod /run/null c 1 3 && echo > /run/null'],
  ['an overlay of /', 'mount -t overlay overlay -o lowerdir=/,upperdir=/run/upper,workdir=/run/work /run/root'],
  ['hosts: network namespaces with veth pairs', 'ip netns add probe && ip link add probe0 type veth peer name eth0 netns probe'],
  ['control groups of version 2', 'mount -t cgroup2 cgroup2 /run/cgroup && mkdir /run/cgroup/probe && rmdir /run/cgroup/probe'],
  ['namespaces within namespaces', 'ip netns exec probe unshare --pid --fork --kill-child --mount --uts --ipc --cgroup true'],
]

/** Undefined when nothing is missing. */
export function missingForBoot(): string | undefined {
  if (process.getuid?.() !== 0) return 'it has to be run as root'
  const absent = [
    ...PROGRAMS.filter((program) => spawnSync('sh', ['-c', `command -v ${program}`], { stdio: 'ignore' }).status !== 0),
    ...[SYSTEMD, ZOOKEEPER_JAR].filter((file) => !existsSync(file)),
  ]
  if (absent.length > 0) return `not installed: ${absent.join(', ')} (Debian packages systemd, iproute2, zookeeper, default-jre-headless)`
  let script = ''
  for (const [what, step] of STEPS) {
    script += `${step}\n`
    if (!wayToUnshare(script)) return `not permitted here: ${what}`
  }
  return undefined
}
