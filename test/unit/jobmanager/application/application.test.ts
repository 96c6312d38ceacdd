/** One application over several leaders, with a program that submits when the test says so. */
import test from 'ava'
import { silentLogger } from '#core/logger.js'
import { Application } from '#jobmanager/application/application.js'
import { ControlPlane } from '../../../support/control-plane.js'
import { edge, graph, vertex } from '../../../support/job-graphs.js'

const jobGraph = graph([vertex('a', 1, { kind: 'source' }), vertex('b', 1)], [edge('a', 'b')])
const { jobId } = jobGraph

interface Program {
  killed: boolean
  accepted(): void
  ended(code: number): void
}
async function start({ endsWithJob = true } = {}) {
  const plane = new ControlPlane()
  const programs: Program[] = []
  const ends: number[] = []
  let announced = 0
  plane.application = new Application({
    jobId,
    endsWithJob,
    startProgram(told) {
      const program = { ...told, killed: false }
      programs.push(program)
      return {
        kill() {
          program.killed = true
        },
      }
    },
    jobFact: async (id) => plane.facts.jobs.get(id)?.value,
    clock: plane.clock,
    logger: silentLogger,
    announce: () => announced++,
    end: (code) => ends.push(code),
  })
  await plane.application.start()
  const application = plane.application
  return { plane, application, programs, ends, announced: () => announced }
}
async function finish(plane: ControlPlane): Promise<void> {
  await plane.dispatcher.cancelJob({ jobId })
  await plane.until(jobId, 'CANCELED')
  await plane.clock.advance(2_000)
}

test('the next leader adopts the job and does not run the program; the process ends when the job has', async (t) => {
  const { plane, programs, ends, announced } = await start()
  await plane.lead()
  const tm = await plane.taskManager('tm', 1)
  t.is(programs.length, 1)
  t.is(announced(), 0)
  await plane.dispatcher.submitJob({ jobGraph })
  programs[0]!.accepted()
  t.is(announced(), 1)
  await plane.until(jobId, 'RUNNING')
  await plane.crashLeader()
  t.true(programs[0]!.killed)
  await plane.lead()
  await plane.connect(tm)
  await plane.until(jobId, 'RUNNING')
  await finish(plane)
  t.is(programs.length, 1)
  t.deepEqual(ends, [4])
})

test('a program that has ended before its word of the accepted job came has had one: it is cancelled, and then all end', async (t) => {
  const { plane, programs, ends, announced } = await start()
  await plane.lead()
  await plane.taskManager('tm', 1)
  await plane.dispatcher.submitJob({ jobGraph })
  programs[0]!.ended(1)
  t.is(announced(), 1)
  t.deepEqual(ends, [])
  await plane.until(jobId, 'CANCELED')
  await plane.clock.advance(2_000)
  t.deepEqual(ends, [1])
})

test('a leader that finds no job runs the program, whatever an earlier one had begun', async (t) => {
  const { plane, programs } = await start()
  await plane.lead()
  await plane.crashLeader()
  await plane.lead()
  t.deepEqual(
    programs.map(({ killed }) => killed),
    [true, false],
  )
})

test('jobs of others are refused, and the job of the application is not forgotten', async (t) => {
  const { plane, programs, ends } = await start({ endsWithJob: false })
  await plane.lead()
  await plane.taskManager('tm', 1)
  const other = { ...jobGraph, jobId: 'b'.repeat(32) }
  await t.throwsAsync(plane.dispatcher.submitJob({ jobGraph: other }), {
    code: 'JOB_SUBMISSION_FAILED',
    message: /this cluster is for one job/,
  })
  await plane.dispatcher.submitJob({ jobGraph })
  await plane.until(jobId, 'RUNNING')
  await finish(plane)
  await plane.clock.advance(2 * 3_600_000) // jobstore.expiration-time twice
  t.is(await plane.status(jobId), 'CANCELED')
  await plane.crashLeader()
  await plane.lead()
  t.is(programs.length, 1)
  t.deepEqual(ends, [])
})

test('one that stands by, and may never lead, ends when it sees the end in the facts', async (t) => {
  const { plane, application, programs, ends } = await start()
  delete plane.application // Another process leads.
  await plane.lead()
  await plane.taskManager('tm', 1)
  await plane.dispatcher.submitJob({ jobGraph })
  await plane.until(jobId, 'RUNNING')
  await plane.clock.advance(5_000)
  t.deepEqual(ends, [])
  await finish(plane)
  await plane.clock.advance(2_000)
  t.deepEqual(ends, [4])
  t.is(programs.length, 0)
  await application.stop()
})
