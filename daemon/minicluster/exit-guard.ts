/**
 * What a process owes to the clusters in it when it ends before they do. A signal that the program does not handle itself stops them
 * first and then does to the process what it would have done; an exit, which can not wait, still removes their directories.
 */
import { rmSync } from 'node:fs'

export interface Guarded {
  readonly directory: string
  stop(): Promise<void>
}

/** Not SIGHUP: listening to it would undo nohup. */
const SIGNALS = ['SIGINT', 'SIGTERM'] as const
const guarded = new Set<Guarded>()
let signalled = false

/** Until the returned function is called. */
export function guardAgainstExit(cluster: Guarded): () => void {
  if (guarded.size === 0) {
    for (const signal of SIGNALS) process.on(signal, onSignal)
    process.on('exit', onExit)
  }
  guarded.add(cluster)
  return () => {
    if (!guarded.delete(cluster) || guarded.size > 0) return
    for (const signal of SIGNALS) process.off(signal, onSignal)
    process.off('exit', onExit)
  }
}

function onSignal(signal: NodeJS.Signals): void {
  const handledByProgram = process.listenerCount(signal) > 1
  if (handledByProgram) return
  const again = signalled // Whoever insists does not wait.
  signalled = true
  const stopped = again ? Promise.resolve() : Promise.allSettled([...guarded].map((cluster) => cluster.stop()))
  void stopped.then(() => {
    onExit()
    process.off(signal, onSignal)
    process.kill(process.pid, signal) // Nobody listens any more: ends the process, and its parent sees why.
  })
}

function onExit(): void {
  for (const { directory } of guarded) rmSync(directory, { recursive: true, force: true, maxRetries: 3 })
}
