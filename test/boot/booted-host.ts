/**
 * A host of its own on this machine: systemd boots in new process, mount, network and control group namespaces from an overlay of `/`,
 * which lives as long as the run. What was written to it is there after the next boot, as on a disk; /run, /tmp and /dev are new.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Host } from '../chaos/hosts.js'
import { pause } from '../support/faults.js'
import type { CommandResult } from '../support/process-cluster.js'
import { SYSTEMD } from './preflight.js'

const run = promisify(execFile)
const POLL_MS = 50
const NAMESPACES = ['--pid', '--fork', '--kill-child', '--mount', '--uts', '--ipc', '--cgroup']
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
/** The shell joins the host's control group, and becomes the launcher. */
const JOIN = 'echo $$ > "$0/cgroup.procs"; exec "$@"'
/** In the host's namespaces: its file systems, then systemd, which takes itself to be in a container. */
const BOOT = `root=$0
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts "$root/dev/pts"
mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
ln -s pts/ptmx "$root/dev/ptmx"
node() { mknod -m 666 "$root/dev/$1" c "$2" "$3"; }
node null 1 3; node zero 1 5; node full 1 7; node random 1 8; node urandom 1 9; node tty 5 0; node console 1 3
cd "$root"
pivot_root . mnt
umount -l /mnt
exec env -i container=flott PATH=${PATH} ${SYSTEMD} --unit=multi-user.target --log-target=journal --show-status=0`

export class BootedHost {
  #boots = 0
  #launcher: ChildProcess | undefined
  /** Of its first process, as seen from here. */
  #init = 0

  private constructor(
    private readonly host: Host,
    /** Mounted while the run lasts. */
    readonly root: string,
    private readonly cgroups: string,
  ) {}

  /** Its disk, with nothing enabled that would start by itself. `directory` is on a tmpfs, where overlays may lie. */
  static async create(host: Host, hosts: readonly Host[], directory: string, cgroups: string): Promise<BootedHost> {
    const layer = (name: string) => {
      const path = join(directory, host.name, name)
      mkdirSync(path, { recursive: true })
      return path
    }
    const root = layer('root')
    await run('mount', ['-t', 'overlay', 'overlay', '-o', `lowerdir=/,upperdir=${layer('upper')},workdir=${layer('work')}`, root])
    const units = join(root, 'etc/systemd/system')
    const unwanted = [
      ...readdirSync(units)
        .filter((name) => name.endsWith('.wants'))
        .map((name) => join(units, name)),
      ...readdirSync(join(root, 'etc'))
        .filter((name) => /^rc.\.d$/.test(name))
        .map((name) => join(root, 'etc', name)),
    ]
    for (const path of unwanted) rmSync(path, { recursive: true, force: true })
    for (const unit of ['getty.target', 'console-getty.service']) symlinkSync('/dev/null', join(units, unit))
    writeFileSync(join(root, 'etc/hostname'), `${host.name}\n`)
    writeFileSync(join(root, 'etc/hosts'), `127.0.0.1 localhost\n${hosts.map(({ address, name }) => `${address} ${name}\n`).join('')}`)
    mkdirSync(join(root, 'var/log/journal'), { recursive: true }) // The journal survives a boot.
    await run('mknod', ['-m', '666', join(root, 'dev/null'), 'c', '1', '3']).catch(() => {}) // For chroot; it may be there.
    return new BootedHost(host, root, cgroups)
  }

  get name(): string {
    return this.host.name
  }
  get address(): string {
    return this.host.address
  }

  /** A directory or file of this machine at a path of the host. */
  async mount(source: string, path: string, options: { readonly readOnly: boolean; readonly file?: boolean }): Promise<void> {
    const target = join(this.root, path)
    if (options.file) writeFileSync(target, '')
    else mkdirSync(target, { recursive: true })
    await run('mount', ['--bind', source, target])
    if (options.readOnly) await run('mount', ['-o', 'remount,bind,ro', target])
  }
  /** A shell script on the host's disk while it is down. */
  async prepare(script: string): Promise<void> {
    await run('chroot', [this.root, 'bash', '-euc', script])
  }

  /** Resolves when systemd answers. */
  async boot(): Promise<void> {
    const cgroup = join(this.cgroups, `${this.name}-${++this.#boots}`)
    mkdirSync(cgroup)
    const words = [...this.host.launcher, 'unshare', ...NAMESPACES, 'bash', '-euc', BOOT, this.root]
    const launcher = spawn('sh', ['-euc', JOIN, cgroup, ...words], { stdio: ['ignore', 'ignore', 'pipe'] })
    this.#launcher = launcher
    let said = ''
    launcher.stderr.on('data', (data) => (said += String(data)))
    for (;;) {
      if (launcher.exitCode !== null || launcher.signalCode !== null) throw new Error(`${this.name} does not boot: ${said}`)
      this.#init = childOf(launcher.pid!) ?? 0
      if (this.#init !== 0 && (await this.run('systemctl', ['list-jobs'])).code === 0) return
      await pause(POLL_MS)
    }
  }
  /** Nothing on it gets to do anything. */
  async cutPower(): Promise<void> {
    if (this.#init !== 0) process.kill(this.#init, 'SIGKILL')
    await this.#ended()
  }
  /** All units are stopped in order; it stays down until it is booted. */
  async shutDown(): Promise<void> {
    await this.run('systemctl', ['--no-block', 'reboot'])
    await this.#ended()
  }
  async #ended(): Promise<void> {
    const launcher = this.#launcher
    if (launcher && launcher.exitCode === null && launcher.signalCode === null) await once(launcher, 'exit')
    this.#init = 0
  }

  /** A command on the host, as root. */
  run(program: string, args: readonly string[]): Promise<CommandResult> {
    const env = { PATH, LANG: 'C.UTF-8', FLOTT_CONF_DIR: '/etc/flott' }
    const namespaces = ['-t', String(this.#init), '--all', '--root', '--wd']
    return new Promise((resolve) => {
      execFile('nsenter', [...namespaces, program, ...args], { env, maxBuffer: 64 << 20 }, (error, stdout, stderr) =>
        resolve({ code: error ? Number(error.code ?? 1) : 0, stdout, stderr }),
      )
    })
  }
  /** The same, which has to go well; its standard output. */
  async must(program: string, ...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.run(program, args)
    if (code !== 0) throw new Error(`${this.name}: ${[program, ...args].join(' ')} ends with ${code}: ${stdout}${stderr}`)
    return stdout
  }
  async unit(name: string): Promise<UnitState> {
    const text = await this.must('systemctl', 'show', name)
    const values = Object.fromEntries(text.split('\n').map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]))
    const value = (key: string) => values[key] ?? ''
    return {
      activeState: value('ActiveState'),
      subState: value('SubState'),
      result: value('Result'),
      restarts: Number(value('NRestarts')),
      exitStatus: Number(value('ExecMainStatus')),
      mainPid: Number(value('MainPID')),
      startedUs: Number(value('ExecMainStartTimestampMonotonic')),
      activeUs: Number(value('ActiveEnterTimestampMonotonic')),
    }
  }
  /** To the main process of a unit, without a program that would have to start first. */
  async signal(unit: string, signal: 'SIGKILL' | 'SIGSTOP'): Promise<void> {
    const { mainPid } = await this.unit(unit)
    const pid = pidsBelow(join(this.cgroups, `${this.name}-${this.#boots}`)).find((found) => innermostPid(found) === mainPid)
    if (mainPid === 0 || pid === undefined) throw new Error(`${this.name}: ${unit} does not run`)
    process.kill(pid, signal)
  }
  journal(...args: string[]): Promise<string> {
    return this.run('journalctl', ['--no-pager', '--output=short-precise', ...args]).then(({ stdout }) => stdout)
  }
  /** Also of earlier boots, and while it is down. */
  async wholeJournal(): Promise<string> {
    const args = ['--directory', join(this.root, 'var/log/journal'), '--no-pager', '--output=short-precise']
    return (await run('journalctl', args, { maxBuffer: 256 << 20 })).stdout
  }
}

export interface UnitState {
  readonly activeState: string
  readonly subState: string
  readonly result: string
  /** By systemd itself. */
  readonly restarts: number
  readonly exitStatus: number
  readonly mainPid: number
  /** Of the main process, and of the unit's becoming active: in the host's monotonic time. */
  readonly startedUs: number
  readonly activeUs: number
}

function childOf(pid: number): number | undefined {
  try {
    const [child] = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ')
    return child ? Number(child) : undefined
  } catch {
    return undefined
  }
}
/** All processes of a control group and of those in it. */
function pidsBelow(cgroup: string): number[] {
  const groups = [
    cgroup,
    ...readdirSync(cgroup, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => join(entry.parentPath, entry.name)),
  ]
  return groups.flatMap((group) => readFileSync(join(group, 'cgroup.procs'), 'utf8').trim().split('\n').filter(Boolean).map(Number))
}
/** What the process itself takes for its pid. */
function innermostPid(pid: number): number | undefined {
  try {
    const [, pids] = /^NSpid:\s+(.*)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
    return Number(pids?.split(/\s+/).at(-1))
  } catch {
    return undefined
  }
}
