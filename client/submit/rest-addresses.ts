/**
 * Where the cluster's REST API can be reached. Any JobManager answers, so a list is tried in turn; with ZooKeeper the leader's own
 * address is looked up, which survives every change of hosts.
 */
import { type Clock, systemClock } from '#core/clock.js'
import { FlottError } from '#core/errors.js'
import type { LeaderRetrieval } from '#protocol/ha/leadership.js'

export interface RestAddresses {
  /** The address to try next: without '/' at the end. LEADER_UNKNOWN when none is known within the time-out. */
  current(): Promise<string>
  /** The last one did not answer, or does not lead to a leader. */
  failed(url: string): void
  close(): Promise<void>
}

/** `host:port` or a URL, several separated by commas. INVALID_ARGUMENT. */
export function staticAddresses(text: string): RestAddresses {
  const urls = text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
    .map(restUrlOf)
  if (urls.length === 0) throw new FlottError('INVALID_ARGUMENT', 'no address of a JobManager was given')
  let index = 0
  return {
    current: async () => urls[index % urls.length]!,
    failed: (url) => {
      if (url === urls[index % urls.length]) index++
    },
    close: async () => {},
  }
}

export function restUrlOf(text: string): string {
  const withScheme = /^https?:\/\//i.test(text) ? text : `http://${text}`
  const url = URL.canParse(withScheme) ? new URL(withScheme) : undefined
  if (url === undefined || url.hostname === '' || (url.port === '' && !/^https?:\/\//i.test(text)))
    throw new FlottError('INVALID_ARGUMENT', `'${text}' is no address of a JobManager: expects host:port or a URL`)
  return `${url.protocol}//${url.host}${url.pathname.replace(/\/+$/, '')}`
}

/** The leader's address as it stands in ZooKeeper (or wherever the retrieval looks). `start` was called on the retrieval. */
export function leaderAddresses(retrieval: LeaderRetrieval, timeoutMs: number, clock: Clock = systemClock): RestAddresses {
  return {
    current: () =>
      new Promise<string>((resolve, reject) => {
        const known = retrieval.current
        if (known) return resolve(known.restUrl)
        let stop: (() => void) | undefined
        const timer = clock.setTimer(timeoutMs, () => {
          stop?.()
          reject(
            retrieval.connected === false
              ? new FlottError('ZOOKEEPER_UNAVAILABLE', `no leader could be looked up within ${timeoutMs} ms`)
              : new FlottError('LEADER_UNKNOWN', `no JobManager took the lead within ${timeoutMs} ms`),
          )
        })
        stop = retrieval.watch((leader) => {
          if (!leader) return
          timer.cancel()
          stop?.()
          resolve(leader.restUrl)
        })
      }),
    failed: () => {}, // The retrieval learns of the next leader by itself.
    close: () => retrieval.stop(),
  }
}
