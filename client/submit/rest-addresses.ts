/**
 * Where the cluster's REST API can be reached. Any JobManager answers, so a list is tried in turn; with ZooKeeper the leader's own
 * address is looked up, which survives every change of hosts.
 */
import { type Clock, systemClock } from '#core/clock.js'
import { FlottError } from '#core/errors.js'
import type { LeaderRetrieval } from '#protocol/ha/leadership.js'

export interface RestAddresses {
  /**
   * The address to try next: without '/' at the end. `withinMs`: where it is to be waited for, no longer than this. LEADER_UNKNOWN,
   * ZOOKEEPER_UNAVAILABLE.
   */
  current(withinMs: number): Promise<string>
  /** What is missing while current() waits; absent where it never does. */
  trouble?(): FlottError
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

/** The leader's address as it stands in `where`: 'ZooKeeper at host:port'. `start` was called on the retrieval. */
export function leaderAddresses(
  retrieval: LeaderRetrieval,
  { where, timeoutMs, clock = systemClock }: { readonly where: string; readonly timeoutMs: number; readonly clock?: Clock },
): RestAddresses {
  const trouble = () =>
    retrieval.connected === false
      ? new FlottError('ZOOKEEPER_UNAVAILABLE', `${where} does not answer, and the leader is looked up there`)
      : new FlottError('LEADER_UNKNOWN', `no JobManager leads, says ${where}`)
  return {
    trouble,
    current: (withinMs) =>
      new Promise<string>((resolve, reject) => {
        const known = retrieval.current
        if (known) return resolve(known.restUrl)
        let stop: (() => void) | undefined
        const timer = clock.setTimer(Math.min(timeoutMs, withinMs), () => {
          stop?.()
          reject(trouble())
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
