/**
 * The stack of another thread, whatever that thread does: the main thread connects an inspector session of its own (no port is opened),
 * attaches to the worker and pauses it. A worker in native code does not pause; then there is no stack. Whatever happens, the worker is
 * resumed and the session closed at the end, since a paused worker can not be terminated.
 */
import type { Session } from 'node:inspector'

/** Line and column from 1. `url` is empty for code made at run time. */
export interface WorkerFrame {
  readonly functionName: string
  readonly url: string
  readonly line: number
  readonly column: number
}

/** The frames, innermost first; undefined when the worker does not pause before the signal aborts, or there is no inspector. */
export async function stackOfWorker(threadId: number, signal: AbortSignal): Promise<readonly WorkerFrame[] | undefined> {
  const inspector = await import('node:inspector').catch(() => undefined) // A build of Node may lack it, or permissions forbid it.
  if (!inspector || signal.aborted) return undefined
  return new Promise((resolve) => {
    const session = new inspector.Session()
    const pause = new WorkerPause(session, threadId, (frames) => end(frames))
    const aborted = () => end(undefined)
    const end = (frames: readonly WorkerFrame[] | undefined) => {
      signal.removeEventListener('abort', aborted)
      pause.end()
      resolve(frames)
    }
    signal.addEventListener('abort', aborted)
    try {
      pause.begin()
    } catch {
      end(undefined)
    }
  })
}

interface CallFrame {
  readonly functionName: string
  readonly location: { readonly scriptId: string; readonly lineNumber: number; readonly columnNumber?: number }
}
interface Attached {
  readonly params: { readonly sessionId: string; readonly workerInfo: { readonly title: string } }
}
interface FromWorker {
  readonly params: { readonly sessionId: string; readonly message: string }
}

class WorkerPause {
  #workerSession: string | undefined
  readonly #urls = new Map<string, string>()
  #messages = 0

  constructor(
    private readonly session: Session,
    private readonly threadId: number,
    private readonly paused: (frames: readonly WorkerFrame[]) => void,
  ) {}

  begin(): void {
    this.session.connect()
    this.session.on('NodeWorker.attachedToWorker', ({ params }: Attached) => {
      // "[worker 3] its name"
      if (params.workerInfo.title.startsWith(`[worker ${this.threadId}]`)) this.#attached(params.sessionId)
    })
    this.session.on('NodeWorker.receivedMessageFromWorker', ({ params }: FromWorker) => {
      if (params.sessionId === this.#workerSession) this.#heard(JSON.parse(params.message))
    })
    this.session.post('NodeWorker.enable', { waitForDebuggerOnStart: false })
  }
  end(): void {
    try {
      this.#send('Debugger.disable') // Resumes it, also when the pause comes later.
      this.session.disconnect()
    } catch {
      // The worker, or the inspector, is gone.
    }
  }
  #attached(sessionId: string): void {
    this.#workerSession = sessionId
    this.#send('Debugger.enable')
    this.#send('Debugger.pause')
  }
  #send(method: string): void {
    if (this.#workerSession === undefined) return
    const message = JSON.stringify({ id: ++this.#messages, method })
    this.session.post('NodeWorker.sendMessageToWorker', { sessionId: this.#workerSession, message })
  }
  /** Scripts are announced before the pause; a frame names its script by number, and its URL may be missing. */
  #heard({ method, params }: { method?: string; params?: unknown }): void {
    if (method === 'Debugger.scriptParsed') {
      const { scriptId, url } = params as { scriptId: string; url: string }
      this.#urls.set(scriptId, url)
    } else if (method === 'Debugger.paused') {
      const { callFrames } = params as { callFrames: readonly CallFrame[] }
      this.paused(callFrames.map((frame) => this.#frame(frame)))
    }
  }
  #frame({ functionName, location }: CallFrame): WorkerFrame {
    return {
      functionName,
      url: this.#urls.get(location.scriptId) ?? '',
      line: location.lineNumber + 1,
      column: (location.columnNumber ?? 0) + 1,
    }
  }
}
