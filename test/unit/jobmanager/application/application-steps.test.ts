import test from 'ava'
import { type ApplicationEvent, type ApplicationState, STANDING_BY, step } from '#jobmanager/application/application-steps.js'

/** What the events lead to: effects in order, an end with its exit code. */
function effectsOf(events: readonly ApplicationEvent[], { endsWithJob = true } = {}): string[] {
  let state: ApplicationState = STANDING_BY
  return events.flatMap((event) => {
    const next = step(state, event, endsWithJob)
    state = next.state
    return next.effects.map((effect) => (effect.kind === 'end' ? `end ${effect.code}` : effect.kind))
  })
}
const first = { kind: 'leads', job: undefined } as const
const accepted = { kind: 'job-accepted' } as const
const reignEnded = { kind: 'reign-ended' } as const
const jobEnded = (status: 'FINISHED' | 'FAILED' | 'CANCELED') => ({ kind: 'job-ended', status }) as const
const programEnded = (code = 0) => ({ kind: 'program-ended', code }) as const

const SCENARIOS: readonly (readonly [string, readonly ApplicationEvent[], readonly string[]])[] = [
  ['the job finishes, then the program', [first, accepted, jobEnded('FINISHED'), programEnded()], ['start-program', 'announce', 'end 0']],
  ['the program does not wait', [first, accepted, programEnded(), jobEnded('FINISHED')], ['start-program', 'announce', 'end 0']],
  [
    'the job ends before its acceptance is told',
    [first, jobEnded('FAILED'), accepted, programEnded()],
    ['start-program', 'announce', 'end 3'],
  ],
  ['it is cancelled', [first, accepted, jobEnded('CANCELED'), programEnded()], ['start-program', 'announce', 'end 4']],
  ['the program throws at once', [first, programEnded(78), accepted], ['start-program', 'end 78']],
  ['the program ends without a job', [first, programEnded()], ['start-program', 'end 1']],
  [
    'the program throws when its job runs',
    [first, accepted, programEnded(5), jobEnded('CANCELED')],
    ['start-program', 'announce', 'cancel-job', 'end 5'],
  ],
  ['the program throws after its job', [first, accepted, jobEnded('FINISHED'), programEnded(1)], ['start-program', 'announce', 'end 1']],
  ['the job is there already', [{ kind: 'leads', job: 'RUNNING' }, jobEnded('FINISHED')], ['announce', 'end 0']],
  ['the job has ended already', [{ kind: 'leads', job: 'FAILED' }], ['end 3']],
  ['the reign ends while the program runs', [first, reignEnded, accepted, programEnded(1)], ['start-program', 'kill-program']],
  ['the reign ends when the job is accepted', [first, accepted, programEnded(), reignEnded], ['start-program', 'announce']],
  [
    'it leads again before the job was accepted',
    [first, reignEnded, first, accepted, programEnded(), jobEnded('FINISHED')],
    ['start-program', 'kill-program', 'start-program', 'announce', 'end 0'],
  ],
  ['one that stands by sees the end', [jobEnded('CANCELED'), { kind: 'leads', job: 'CANCELED' }], ['end 4']],
  ['one that stands by is told nothing else', [accepted, programEnded(1), reignEnded], []],
]
for (const [name, events, effects] of SCENARIOS) test(name, (t) => t.deepEqual(effectsOf(events), effects))

test('where the cluster outlives its application, only a program without a job ends it', (t) => {
  const outlives = (events: readonly ApplicationEvent[]) => effectsOf(events, { endsWithJob: false })
  t.deepEqual(outlives([first, accepted, jobEnded('FAILED'), programEnded()]), ['start-program', 'announce'])
  t.deepEqual(outlives([{ kind: 'leads', job: 'FINISHED' }]), ['announce'])
  t.deepEqual(outlives([jobEnded('FINISHED')]), [])
  t.deepEqual(outlives([first, accepted, programEnded(1), jobEnded('CANCELED')]), ['start-program', 'announce', 'cancel-job'])
  t.deepEqual(outlives([first, programEnded(1)]), ['start-program', 'end 1'])
})
