import test from 'ava'
import { staticAddresses } from '#client/submit/rest-addresses.js'
import { RestTransport } from '#client/submit/rest-request.js'
import { ERRORS, type ErrorCode } from '#core/errors.js'
import { FakeClock } from '../../../support/fake-clock.js'

/** What the cluster answers one after the other: an error, or done. */
async function send(t: { teardown(undo: () => void): void }, answers: (ErrorCode | 'done')[]): Promise<{ result: unknown; asked: number }> {
  const real = globalThis.fetch
  t.teardown(() => {
    globalThis.fetch = real
  })
  let asked = 0
  globalThis.fetch = async () => {
    const answer = answers[Math.min(asked++, answers.length - 1)]!
    if (answer === 'done') return Response.json({ accepted: true })
    return Response.json({ errors: ['told so'], code: answer }, { status: ERRORS[answer].http })
  }
  const clock = new FakeClock()
  const transport = new RestTransport(staticAddresses('jm:8081'), { attempts: 5, firstDelayMs: 100, maxDelayMs: 1_000 }, clock)
  const sent = transport.send({ method: 'PATCH', path: '/v1/jobs/j?mode=cancel' }).catch((error: unknown) => error)
  await clock.advance(10_000)
  return { result: await sent, asked }
}

test.serial('a request outlasts each stage of a change of leader', async (t) => {
  const stages = ['LEADER_SUSPENDED', 'ZOOKEEPER_UNAVAILABLE', 'ZOOKEEPER_SESSION_EXPIRED', 'LEADER_UNKNOWN', 'NOT_LEADER'] as const
  t.deepEqual(await send(t, [...stages, 'done']), { result: { accepted: true }, asked: stages.length + 1 })
})

test.serial('so many tries and no more; none where it would not help', async (t) => {
  t.like(await send(t, ['NOT_LEADER']), { result: { code: 'NOT_LEADER' }, asked: 6 })
  t.like(await send(t, ['JOB_NOT_FOUND']), { result: { code: 'JOB_NOT_FOUND' }, asked: 1 })
})
