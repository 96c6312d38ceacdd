/** A standby answers with what the leader says: requests are passed on as they are, bodies as streams. */
import { request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http'
import { FlottError } from '#core/errors.js'
import type { LeaderInfo } from '#protocol/ha/facts.js'

/** Set on what is forwarded, so that two JobManagers with an outdated view can't pass a request back and forth. */
const FORWARDED = 'x-flott-forwarded'

/** `waitMs`: it fails when the answer has not begun by then. */
export function forwardToLeader(
  incoming: IncomingMessage,
  answer: ServerResponse,
  leader: LeaderInfo | undefined,
  waitMs?: number,
): Promise<void> {
  if (incoming.headers[FORWARDED] !== undefined) throw new FlottError('NOT_LEADER', 'the JobManager that was asked does not lead')
  if (leader === undefined) throw new FlottError('LEADER_UNKNOWN', 'no JobManager leads at the moment')
  const target = new URL(incoming.url ?? '/', leader.restUrl)
  return new Promise((resolve, reject) => {
    const outgoing = httpRequest(
      target,
      {
        method: incoming.method,
        headers: { ...incoming.headers, host: target.host, [FORWARDED]: '1' },
        ...(waitMs === undefined ? {} : { timeout: waitMs }),
      },
      (response) => {
        answer.writeHead(response.statusCode ?? 502, response.headers)
        response.pipe(answer)
        response.on('end', resolve)
        response.on('error', () => answer.destroy())
        response.on('close', resolve)
      },
    )
    outgoing.on('timeout', () => {
      if (!answer.headersSent) outgoing.destroy(new Error(`no answer within ${waitMs} ms`))
    })
    outgoing.on('error', (cause) => {
      if (answer.headersSent) answer.destroy()
      const message = `the leader at ${leader.restUrl} can not be reached`
      reject(new FlottError(incoming.method === 'GET' ? 'CONNECTION_REFUSED' : 'CONNECTION_LOST', message, { cause }))
    })
    answer.on('close', () => outgoing.destroy())
    incoming.pipe(outgoing)
  })
}
