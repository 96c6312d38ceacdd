/**
 * npm run -s boot               boots three hosts under systemd, with Flott as the README installs it, and does to them what operators and
 *                               accidents do; a line a step
 * npm run -s boot -- --short    less of it
 * …              --journals DIR the journals of the hosts are kept there, also when all went well
 *
 * Needs root. The hosts are namespaces of this run: whatever ends it, they go, with all mounts, links and processes. Exit code 0: all was
 * as it should be; 1: something was not, and journals and outputs are kept; 69: this machine can not boot hosts, and why.
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { INTERRUPTED, onStop, runInside, wayToUnshare } from '../support/own-namespaces.js'
import { BootRun } from './boot-run.js'
import { cgroupOfRun, installedHosts } from './installed-hosts.js'
import { missingForBoot, UNAVAILABLE } from './preflight.js'

const { values } = parseArgs({
  options: {
    short: { type: 'boolean', default: false },
    journals: { type: 'string' },
    /** Set for the process inside: its control group. */
    inside: { type: 'string' },
  },
})
const print = (line: string) => void process.stdout.write(`${line}\n`)
process.exitCode = values.inside === undefined ? await outside() : await inside(values.inside)

async function outside(): Promise<number> {
  const missing = missingForBoot()
  if (missing !== undefined) {
    print(`hosts can not be booted: ${missing}`)
    return UNAVAILABLE
  }
  const cgroup = `flott-boot-${process.pid}`
  await cgroupOfRun('make', cgroup)
  try {
    return await runInside({ way: wayToUnshare('true')!, args: ['--inside', cgroup], prefix: 'flott-boot-', tell: print })
  } finally {
    await cgroupOfRun('remove', cgroup)
  }
}

async function inside(cgroup: string): Promise<number> {
  // The first process of its namespace takes all others with it.
  onStop(() => process.exit(INTERRUPTED))
  const disks = join(tmpdir(), 'disks')
  mkdirSync(disks)
  execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', disks])
  mkdirSync(join(disks, 'cgroup'))
  execFileSync('mount', ['-t', 'cgroup2', 'cgroup2', join(disks, 'cgroup')])
  const shared = join(tmpdir(), 'shared')
  const hosts = await installedHosts(disks, shared, join(disks, 'cgroup', cgroup))
  const run = new BootRun({
    hosts,
    shared,
    journals: resolve(values.journals ?? join(tmpdir(), 'journals')),
    keep: values.journals !== undefined,
    short: values.short,
    tell: print,
  })
  const well = await run.run()
  process.exit(well ? 0 : 1) // Hosts still run.
}
