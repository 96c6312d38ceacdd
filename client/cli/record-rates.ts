/**
 * Records per second of a job's vertices, from looks at its counts.
 *
 * Counts move only when a heartbeat brings them, so that the difference of two looks close together is nothing or twice too much. A rate is
 * the mean of the last ten seconds instead, over looks at which every task's count was known and none had begun anew.
 */
import type { JobDetailsResponse } from '#protocol/rest/responses.js'

/** As long as the longest heartbeat interval in use (Flink's default), and as the time between two plain lines of progress. */
const WINDOW_MS = 10_000

export type RecordCount = 'read-records' | 'write-records'

interface Counts {
  readonly atMs: number
  readonly 'read-records': number
  readonly 'write-records': number
}

export class RecordRates {
  readonly #windows = new Map<string, Counts[]>()

  observe(job: JobDetailsResponse, atMs: number): void {
    for (const { id, metrics } of job.vertices) {
      if (!metrics['read-records-complete'] || !metrics['write-records-complete']) continue
      const counts: Counts = { atMs, 'read-records': metrics['read-records'], 'write-records': metrics['write-records'] }
      const window = this.#windows.get(id) ?? []
      const newest = window.at(-1)
      // A task that was restarted counts from zero again.
      if (newest && (newest['read-records'] > counts['read-records'] || newest['write-records'] > counts['write-records']))
        window.length = 0
      window.push(counts)
      // One look older than the window stays, so that it spans all of it.
      while (window.length > 2 && (window[1] as Counts).atMs <= atMs - WINDOW_MS) window.shift()
      this.#windows.set(id, window)
    }
  }

  /** Records per second; undefined until two looks knew all counts. */
  of(vertexId: string, count: RecordCount): number | undefined {
    const window = this.#windows.get(vertexId)
    const [oldest, newest] = [window?.[0], window?.at(-1)]
    if (!oldest || !newest || newest.atMs <= oldest.atMs) return undefined
    return ((newest[count] - oldest[count]) * 1000) / (newest.atMs - oldest.atMs)
  }
}
