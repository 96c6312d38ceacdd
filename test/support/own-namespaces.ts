/**
 * A run that makes hosts has a process of its own in new network, mount and process namespaces: whatever ends it, they go, and with them
 * all hosts, links, mounts and processes.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export const INTERRUPTED = 130
const OWN_NAMESPACES = ['--net', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc']

/** Words before a command that runs it in such namespaces; undefined unless all that `probe`, a shell script, does is permitted there. */
export function wayToUnshare(probe: string): readonly string[] | undefined {
  const way = ['unshare', ...(process.getuid?.() === 0 ? [] : ['--user', '--map-root-user']), ...OWN_NAMESPACES]
  return spawnSync(way[0]!, [...way.slice(1), 'sh', '-ec', probe], { stdio: 'ignore' }).status === 0 ? way : undefined
}

export interface RunInside {
  /** Words of wayToUnshare; none: as a plain process. */
  readonly way: readonly string[]
  /** After those of this process: they tell the program that it is the one inside. */
  readonly args: readonly string[]
  /** Of the name of its directory for temporary files. */
  readonly prefix: string
  readonly tell: (line: string) => void
}

/** Runs this program again, waits, and removes what is left; its exit code. */
export async function runInside({ way, args, prefix, tell }: RunInside): Promise<number> {
  const directory = mkdtempSync(join(tmpdir(), prefix))
  const [program, ...words] = [...way, process.execPath, ...process.argv.slice(1), ...args]
  // A group of its own: a Ctrl-C is for this process, which tells the other one; that one also notices when this one is gone.
  const child = spawn(program!, words, {
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
  else tell(`directories and logs are kept in ${directory}`)
  return code
}
async function codeOf(child: ChildProcess): Promise<number> {
  const [code] = (await once(child, 'exit')) as [number | null]
  return code ?? 1
}

/** Inside: calls `stop` when the process outside says so, or is gone. */
export function onStop(stop: () => void): void {
  process.on('message', stop)
  process.on('disconnect', stop)
  process.channel?.unref()
}
