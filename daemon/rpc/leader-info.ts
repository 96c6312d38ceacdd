/**
 * How a cluster without ZooKeeper finds its JobManager: the address is configured, who leads there and under which epoch is asked of
 * its internal endpoint (GET /leader).
 */
import { request } from 'node:http'
import { type Clock, sleep } from '#core/clock.js'
import { compareEpochs } from '#core/epoch.js'
import type { Logger } from '#core/logger.js'
import { Outage } from '#core/outage.js'
import type { LeaderInfo } from '#protocol/ha/facts.js'
import type { LeaderRetrieval } from '#protocol/ha/leadership.js'
import type { InternalEndpoint } from './internal-endpoint.js'

export const LEADER_PATH = '/leader'
const ANSWER_BYTES_MAX = 16 * 1024
const ASK_TIMEOUT_MS = 2_000
const ASK_AGAIN_MS = { known: 1_000, unknown: 200 }

/** Serves `current`: LeaderInfo as JSON, or 503 while nobody leads. */
export function serveLeaderInfo(endpoint: InternalEndpoint, current: () => LeaderInfo | undefined): void {
  endpoint.onRequest(LEADER_PATH, (_request, response) => {
    const leader = current()
    response.writeHead(leader ? 200 : 503, { 'content-type': 'application/json' }).end(JSON.stringify(leader ?? {}))
  })
}

/** Asks one address who leads, again and again. `connected` says whether it answered the last time. */
export class AskedLeaderRetrieval implements LeaderRetrieval {
  readonly #listeners = new Set<(leader: LeaderInfo | undefined) => void>()
  readonly #stopping = new AbortController()
  #current: LeaderInfo | undefined
  #connected = false
  readonly #outage: Outage
  #asking: Promise<void> | undefined

  /** `address`: host:port of the JobManager's internal endpoint. */
  constructor(private readonly options: { readonly address: string; readonly clock: Clock; readonly logger: Logger }) {
    this.#outage = new Outage(options.logger)
  }

  get current(): LeaderInfo | undefined {
    return this.#current
  }
  get connected(): boolean {
    return this.#connected
  }
  watch(onChange: (leader: LeaderInfo | undefined) => void): () => void {
    this.#listeners.add(onChange)
    if (this.#current) onChange(this.#current)
    return () => this.#listeners.delete(onChange)
  }
  async start(): Promise<void> {
    this.#asking ??= this.#askOnAndOn()
  }
  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#asking
  }

  async #askOnAndOn(): Promise<void> {
    const { signal } = this.#stopping
    while (!signal.aborted) {
      await this.#askOnce()
      const pauseMs = this.#connected && this.#current ? ASK_AGAIN_MS.known : ASK_AGAIN_MS.unknown
      await sleep(this.options.clock, pauseMs, signal).catch(() => {})
    }
  }
  async #askOnce(): Promise<void> {
    try {
      const leader = await this.#ask()
      this.#outage.over('the JobManager answers', { address: this.options.address })
      this.#connected = true
      this.#set(leader)
    } catch (error) {
      if (!this.#stopping.signal.aborted)
        this.#outage.failed('the JobManager does not say who leads', error, { address: this.options.address })
      this.#connected = false // Who led may still lead: the connection to it says more than this one.
    }
  }
  #set(leader: LeaderInfo | undefined): void {
    if (JSON.stringify(leader) === JSON.stringify(this.#current)) return
    if (leader && this.#current && compareEpochs(leader.epoch, this.#current.epoch) < 0) return
    this.#current = leader
    for (const listener of [...this.#listeners]) listener(leader)
  }
  #ask(): Promise<LeaderInfo | undefined> {
    const { address, clock } = this.options
    return new Promise((resolve, reject) => {
      const asked = request(`http://${address}${LEADER_PATH}`, { signal: this.#stopping.signal, agent: false })
      const timer = clock.setTimer(ASK_TIMEOUT_MS, () => asked.destroy(new Error(`no answer in ${ASK_TIMEOUT_MS} ms`)), { unref: true })
      asked.on('error', reject)
      asked.on('close', () => timer.cancel())
      asked.on('response', (response) => {
        const parts: Buffer[] = []
        let bytes = 0
        response.on('error', reject)
        response.on('data', (part: Buffer) => {
          bytes += part.length
          if (bytes > ANSWER_BYTES_MAX) asked.destroy(new Error('the answer is no LeaderInfo'))
          else parts.push(part)
        })
        response.on('end', () => {
          try {
            const { statusCode } = response
            if (statusCode === 503) return resolve(undefined)
            if (statusCode !== 200) throw new Error(`status ${statusCode}`)
            resolve(JSON.parse(Buffer.concat(parts).toString()) as LeaderInfo)
          } catch (error) {
            reject(error)
          }
        })
      })
      asked.end()
    })
  }
}
