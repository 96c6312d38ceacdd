import test from 'ava'
import { FlottError } from '#core/errors.js'
import { silentLogger } from '#core/logger.js'
import { EventSender } from '#jobmanager/jobmaster/event-sender.js'
import type { ExecutionVertex } from '#jobmanager/jobmaster/executiongraph/execution-graph.js'
import type { NumberedEvent, TaskExecutorGateway } from '#protocol/gateways/task-executor-gateway.js'
import type { JobGraph } from '#protocol/graph/job-graph.js'
import { FakeClock } from '../../../support/fake-clock.js'

const event = (number: number): NumberedEvent => ({ number, event: { kind: 'no-more-splits' } })

/** One reader, whose attempts follow each other on a TaskManager that may be out of reach. */
function world() {
  const clock = new FakeClock()
  const state = { attempt: 'a_0', ended: false, reachable: true }
  const arrived: { readonly attemptId: string; readonly events: readonly NumberedEvent[] }[] = []
  const gateway = {
    async sendOperatorEvents({ attemptId, events }: { attemptId: string; events: readonly NumberedEvent[] }) {
      if (!state.reachable) throw new FlottError('CONNECTION_LOST', 'cut off')
      arrived.push({ attemptId, events })
      return { accepted: true }
    },
  } as unknown as TaskExecutorGateway
  const byAttempt = (attemptId: string) =>
    attemptId === state.attempt
      ? ({ ended: state.ended, execution: { attempt: attemptId, slot: { taskManagerId: 'tm' } } } as unknown as ExecutionVertex)
      : undefined
  const context = {
    jobGraph: { jobId: 'j' } as JobGraph,
    clock,
    signal: new AbortController().signal,
    logger: silentLogger,
    taskManager: () => gateway,
  }
  const sender = new EventSender(context, { byAttempt })
  const send = (attemptId: string, ...numbers: readonly number[]) => {
    let outcome = 'open'
    sender.send(attemptId, 'op', numbers.map(event)).then(
      () => (outcome = 'sent'),
      (error: FlottError) => (outcome = error.code),
    )
    return () => outcome
  }
  return { clock, state, arrived, send }
}

test('events are repeated until the attempt has them, in order', async (t) => {
  const { clock, state, arrived, send } = world()
  state.reachable = false
  const outcomes = [send('a_0', 1), send('a_0', 2, 3)]
  await clock.advance(1_000)
  t.deepEqual([arrived, outcomes.map((outcome) => outcome())], [[], ['open', 'open']])
  state.reachable = true
  await clock.advance(1_000)
  t.deepEqual(
    arrived.flatMap(({ events }) => events.map(({ number }) => number)),
    [1, 2, 3],
  )
  t.deepEqual(
    outcomes.map((outcome) => outcome()),
    ['sent', 'sent'],
  )
})

test('what an attempt has not taken is not for the one that follows it', async (t) => {
  const { clock, state, arrived, send } = world()
  state.reachable = false
  const before = send('a_0', 1)
  await clock.advance(1_000)
  Object.assign(state, { attempt: 'a_1', reachable: true })
  const after = send('a_0', 1)
  await clock.advance(1_000)
  t.deepEqual([arrived, before(), after()], [[], 'TASK_LOST', 'TASK_LOST'])
})

test('an attempt that has ended takes nothing', async (t) => {
  const { clock, state, arrived, send } = world()
  state.ended = true
  const outcome = send('a_0', 1)
  await clock.advance(10)
  t.deepEqual([arrived, outcome()], [[], 'TASK_LOST'])
})
