/** One request to the cluster, repeated while the reason for its failure may pass: a change of leader is a pause, not an error. */
import { type Clock, sleep } from '#core/clock.js'
import { ERRORS, type ErrorCode, FlottError, isFlottError } from '#core/errors.js'
import { type AnsweringLeader, LEADER_HEADER, parseLeader } from '#protocol/rest/leader-header.js'
import type { ErrorResponse } from '#protocol/rest/responses.js'
import type { RestAddresses } from './rest-addresses.js'

export interface RetryPolicy {
  /** Tries after the first. */
  readonly attempts: number
  readonly firstDelayMs: number
  readonly maxDelayMs: number
  /** Since the first failure: no try begins later. */
  readonly timeoutMs: number
}
export interface RestRequest {
  readonly method: 'GET' | 'POST' | 'PATCH'
  readonly path: string
  /** Made anew for each try. */
  readonly body?: () => FormData
  /** A body as JSON. */
  readonly json?: object
  readonly signal?: AbortSignal
  readonly timeoutMs?: number
  /** A try failed of which nobody knows whether it took effect: what the next one finds may be its work. */
  readonly onUnknown?: () => void
}

export interface TransportWatch {
  /** A request fails for a reason that may pass, and has for so long. */
  onTrouble?(trouble: Error, lastedMs: number): void
  /** One succeeded; this JobManager led when it answered, as far as the answer says so. */
  onAnswer?(leader: AnsweringLeader | undefined): void
}

/** Who waits longer for an address is told for what. */
const NOTICE_MS = 1_500

export class RestTransport {
  constructor(
    private readonly addresses: RestAddresses,
    private readonly retry: RetryPolicy,
    private readonly clock: Clock,
    private readonly headers: Readonly<Record<string, string>> = {},
    private readonly watch: TransportWatch = {},
  ) {}

  async send<T>(request: RestRequest): Promise<T> {
    let delayMs = this.retry.firstDelayMs
    let leftMs = this.retry.timeoutMs
    let failingSinceMs: number | undefined
    for (let attempt = 0; ; attempt++) {
      let url: string | undefined
      const beganMs = this.clock.monotonicMs()
      try {
        url = await this.#address(leftMs)
        return await this.#once<T>(url, request)
      } catch (error) {
        request.signal?.throwIfAborted()
        const passing = isFlottError(error) && ERRORS[error.code].retry
        if (url !== undefined && passing) this.addresses.failed(url)
        failingSinceMs ??= url === undefined ? beganMs : this.clock.monotonicMs()
        leftMs = failingSinceMs + this.retry.timeoutMs - this.clock.monotonicMs() - delayMs
        if (!passing || attempt >= this.retry.attempts || leftMs <= 0) throw error
        if (url !== undefined && ERRORS[error.code].outcome === 'unknown') request.onUnknown?.()
        this.watch.onTrouble?.(error, this.clock.monotonicMs() - failingSinceMs)
        await sleep(this.clock, delayMs, request.signal)
        delayMs = Math.min(delayMs * 2, this.retry.maxDelayMs)
      }
    }
  }

  async #address(withinMs: number): Promise<string> {
    const tell = () => {
      const trouble = this.addresses.trouble?.()
      if (trouble) this.watch.onTrouble?.(trouble, NOTICE_MS)
    }
    const notice = this.clock.setTimer(NOTICE_MS, tell, { unref: true })
    try {
      return await this.addresses.current(withinMs)
    } finally {
      notice.cancel()
    }
  }

  async #once<T>(url: string, request: RestRequest): Promise<T> {
    let response: Response
    const timeout = AbortSignal.timeout(request.timeoutMs ?? 30_000)
    try {
      response = await fetch(url + request.path, {
        method: request.method,
        headers: request.json === undefined ? this.headers : { ...this.headers, 'content-type': 'application/json' },
        signal: request.signal ? AbortSignal.any([request.signal, timeout]) : timeout,
        ...(request.body === undefined ? {} : { body: request.body() }),
        ...(request.json === undefined ? {} : { body: JSON.stringify(request.json) }),
      })
    } catch (cause) {
      if (timeout.aborted) throw new FlottError('RPC_TIMEOUT', `${url} did not answer ${request.method} ${request.path}`, { cause })
      const reason = (cause as { cause?: { code?: string; message?: string } }).cause
      const refused = reason?.code === 'ECONNREFUSED' || reason?.code === 'ENOTFOUND' || reason?.code === 'EAI_AGAIN'
      const text = `${url} can not be reached: ${reason?.code ?? reason?.message ?? (cause as Error).message}`
      throw new FlottError(refused ? 'CONNECTION_REFUSED' : 'CONNECTION_LOST', text, { cause })
    }
    const text = await response.text().catch((cause: unknown) => {
      throw new FlottError('CONNECTION_LOST', `${url} broke off its answer`, { cause })
    })
    const json = jsonOf(text)
    if (response.ok && json !== undefined) {
      this.watch.onAnswer?.(parseLeader(response.headers.get(LEADER_HEADER) ?? ''))
      return json as T
    }
    throw errorOf(url, request, response.status, json)
  }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return undefined // An answer that is not ours; errorOf says so.
  }
}

function errorOf(url: string, request: RestRequest, status: number, json: unknown): FlottError {
  const { errors, code } = (typeof json === 'object' && json !== null ? json : {}) as Partial<ErrorResponse>
  if (typeof code === 'string' && Object.hasOwn(ERRORS, code))
    return new FlottError(code as ErrorCode, errors?.join('; ') ?? `status ${status}`)
  const text = `${url} answered ${request.method} ${request.path} with status ${status}, which no JobManager of Flott does`
  return new FlottError(status === 502 || status === 503 || status === 504 ? 'CONNECTION_LOST' : 'INTERNAL', text)
}
