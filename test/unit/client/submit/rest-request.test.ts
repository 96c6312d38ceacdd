import test, { type ExecutionContext } from 'ava'
import { type RestAddresses, staticAddresses } from '#client/submit/rest-addresses.js'
import { RestClusterClient } from '#client/submit/rest-cluster-client.js'
import { RestTransport } from '#client/submit/rest-request.js'
import { sleep } from '#core/clock.js'
import { ERRORS, type ErrorCode, FlottError, isFlottError } from '#core/errors.js'
import { FakeClock } from '../../../support/fake-clock.js'

type Answer = ErrorCode | 'done' | 'CANCELED' | 'FINISHED'
const RETRY = { attempts: 5, firstDelayMs: 100, maxDelayMs: 1_000, timeoutMs: 60_000 }

/** What the cluster answers one after the other: an error, done, or the status of a job. */
async function against(
  t: { teardown(undo: () => void): void },
  answers: readonly Answer[],
  request: (clock: FakeClock) => Promise<unknown>,
  forMs = 10_000,
): Promise<{ result: unknown; asked: number }> {
  const real = globalThis.fetch
  t.teardown(() => {
    globalThis.fetch = real
  })
  let asked = 0
  globalThis.fetch = async () => {
    const answer = answers[Math.min(asked++, answers.length - 1)]!
    if (answer === 'done') return Response.json({ accepted: true })
    if (answer === 'CANCELED' || answer === 'FINISHED') return Response.json({ status: answer })
    return Response.json({ errors: ['told so'], code: answer }, { status: ERRORS[answer].http })
  }
  const clock = new FakeClock()
  const sent = request(clock).catch((error: unknown) => error)
  await clock.advance(forMs)
  return { result: await sent, asked }
}
const send = (t: { teardown(undo: () => void): void }, answers: readonly Answer[]) =>
  against(t, answers, (clock) =>
    new RestTransport(staticAddresses('jm:8081'), RETRY, clock).send({ method: 'PATCH', path: '/v1/jobs/j?mode=cancel' }),
  )
const cancel = (t: { teardown(undo: () => void): void }, answers: readonly Answer[]) =>
  against(t, answers, (clock) => new RestClusterClient({ restUrl: 'jm:8081', retry: RETRY, clock }).cancelJob('j'))

test.serial('a request outlasts each stage of a change of leader', async (t) => {
  const stages = ['LEADER_SUSPENDED', 'ZOOKEEPER_UNAVAILABLE', 'ZOOKEEPER_SESSION_EXPIRED', 'LEADER_UNKNOWN', 'NOT_LEADER'] as const
  t.deepEqual(await send(t, [...stages, 'done']), { result: { accepted: true }, asked: stages.length + 1 })
})

test.serial('so many tries and no more; none where it would not help', async (t) => {
  t.like(await send(t, ['NOT_LEADER']), { result: { code: 'NOT_LEADER' }, asked: 6 })
  t.like(await send(t, ['JOB_NOT_FOUND']), { result: { code: 'JOB_NOT_FOUND' }, asked: 1 })
})

/** An address that nobody knows until `foundMs`. */
function lookUp(clock: FakeClock, foundMs: number): RestAddresses & { readonly trouble: () => FlottError } {
  const trouble = () => new FlottError('ZOOKEEPER_UNAVAILABLE', 'ZooKeeper at zk:1 does not answer')
  return {
    trouble,
    current: async (withinMs) => {
      const waitMs = Math.min(withinMs, 15_000, foundMs - clock.monotonicMs())
      if (waitMs > 0) await sleep(clock, waitMs)
      if (clock.monotonicMs() < foundMs) throw trouble()
      return 'http://jm:8081'
    },
    failed() {},
    close: async () => {},
  }
}
async function lookingUp(t: ExecutionContext, foundMs: number) {
  const told: [number, string | undefined][] = []
  const many = { ...RETRY, attempts: 100 }
  let endedMs = -1
  const { result } = await against(
    t,
    ['done'],
    (clock) =>
      new RestTransport(
        lookUp(clock, foundMs),
        many,
        clock,
        {},
        {
          onTrouble(trouble, lastedMs) {
            told.push([clock.monotonicMs(), isFlottError(trouble) ? trouble.code : undefined])
            t.true(lastedMs >= 1_500)
          },
          onAnswer: (leader) => void told.push([clock.monotonicMs(), leader?.jobManagerId]),
        },
      )
        .send({ method: 'PATCH', path: '/v1/jobs/j?mode=cancel' })
        .finally(() => (endedMs = clock.monotonicMs())),
    100_000,
  )
  return { result, told, endedMs }
}

test.serial('who waits for the address of a leader is told soon for what, and for client.timeout waits and no longer', async (t) => {
  const { result, told, endedMs } = await lookingUp(t, Infinity)
  t.like(result, { code: 'ZOOKEEPER_UNAVAILABLE' })
  t.deepEqual(told[0], [1_500, 'ZOOKEEPER_UNAVAILABLE'])
  t.true(endedMs > 58_000 && endedMs <= 60_000, String(endedMs))
})

test.serial('a leader that is found in time is worth the wait; one that is found at once is no news', async (t) => {
  const late = await lookingUp(t, 40_000)
  t.deepEqual([late.result, late.endedMs, late.told.at(-1)], [{ accepted: true }, 40_000, [40_000, undefined]])
  t.deepEqual((await lookingUp(t, 0)).told, [[0, undefined]])
})

test.serial('a cancellation that took effect, though nobody said so, is none that came too late', async (t) => {
  t.deepEqual(await cancel(t, ['CONNECTION_LOST', 'JOB_ALREADY_TERMINATED', 'CANCELED']), { result: undefined, asked: 3 })
  const late: Answer[][] = [
    ['JOB_ALREADY_TERMINATED', 'CANCELED'], // By somebody else.
    ['NOT_LEADER', 'JOB_ALREADY_TERMINATED', 'CANCELED'],
    ['CONNECTION_LOST', 'JOB_ALREADY_TERMINATED', 'FINISHED'],
  ]
  for (const answers of late) t.like((await cancel(t, answers)).result, { code: 'JOB_ALREADY_TERMINATED' })
})
