import test from 'ava'
import { NEW_REGION, type Region, type RegionEvent, type RegionPhase, stepRegion } from '#jobmanager/jobmaster/scheduler/region.js'

const PHASES: readonly RegionPhase[] = ['idle', 'waiting-for-slots', 'recording', 'deployed', 'restarting', 'ending', 'ended']
const EVENTS: readonly RegionEvent[] = [
  { kind: 'begin' },
  { kind: 'adopted' },
  { kind: 'slots-complete' },
  { kind: 'recorded', run: 4 },
  { kind: 'recorded', run: 3 },
  { kind: 'failed', delayMs: 10 },
  { kind: 'delay-elapsed', run: 4 },
  { kind: 'delay-elapsed', run: 3 },
  { kind: 'attempts-ended' },
  { kind: 'job-ending' },
]

test('every phase meets every event', (t) => {
  const table = Object.fromEntries(
    EVENTS.map((event) => [
      `${event.kind} ${'run' in event ? event.run : ''}`.trim(),
      PHASES.map((phase) => {
        const { region, effects } = stepRegion({ ...NEW_REGION, phase, run: 4 }, event)
        return [
          region.phase === phase ? '-' : region.phase,
          ...(region.run === 4 ? [] : [`run ${region.run}`]),
          ...effects.map((e) => e.kind),
        ].join(' ')
      }),
    ]),
  )
  const stopped = 'restarting run 5 start-delay cancel-tasks'
  const ending = 'ending run 5 cancel-tasks'
  t.deepEqual(table, {
    begin: ['waiting-for-slots acquire-slots', '-', '-', '-', '-', '-', '-'],
    adopted: ['deployed', '-', '-', '-', '-', '-', '-'],
    'slots-complete': ['-', 'recording record-deployment', '-', '-', '-', '-', '-'],
    'recorded 4': ['-', '-', 'deployed submit-tasks', '-', '-', '-', '-'],
    'recorded 3': ['-', '-', '-', '-', '-', '-', '-'],
    failed: [stopped, stopped, stopped, stopped, '-', '-', stopped],
    'delay-elapsed 4': ['-', '-', '-', '-', '-', '-', '-'],
    'delay-elapsed 3': ['-', '-', '-', '-', '-', '-', '-'],
    'attempts-ended': ['-', '-', '-', 'ended', '-', 'ended', '-'],
    'job-ending': [ending, ending, ending, ending, ending, '-', '-'],
  })
})

test('a restart waits for both: the end of all attempts, and the pause', (t) => {
  const restarting: Region = { ...NEW_REGION, phase: 'restarting', run: 1 }
  const ended = stepRegion(restarting, { kind: 'attempts-ended' })
  t.deepEqual(ended.effects, [])
  const elapsed = stepRegion(ended.region, { kind: 'delay-elapsed', run: 1 })
  t.deepEqual(
    elapsed.effects.map((effect) => effect.kind),
    ['reset-attempts', 'acquire-slots'],
  )
  const other = stepRegion(stepRegion(restarting, { kind: 'delay-elapsed', run: 1 }).region, { kind: 'attempts-ended' })
  t.deepEqual(other, elapsed)
})
