import test from 'ava'
import { type DrainEffect, type DrainEvent, type DrainPhase, type DrainView, stepDrain } from '#jobmanager/jobmaster/drain/drain-steps.js'

const view = (change: Partial<DrainView> = {}): DrainView => ({
  leaving: ['a', 'b'],
  replaced: new Set(['a', 'b']),
  runs: true,
  takesCheckpoints: true,
  ...change,
})
const looked = (change?: Partial<DrainView>): DrainEvent => ({ kind: 'looked', view: view(change) })
const completed = (change?: Partial<DrainView>): DrainEvent => ({ kind: 'checkpoint-completed', view: view(change) })
const said = (effects: readonly DrainEffect[]) =>
  effects.map((effect) => ('keys' in effect ? `${effect.kind} ${effect.keys}` : effect.kind))

function play(...events: readonly DrainEvent[]): string[] {
  let phase: DrainPhase = 'settled'
  return events.map((event) => {
    const step = stepDrain(phase, event)
    phase = step.phase
    return [phase, ...said(step.effects)].join(': ')
  })
}

test('replacements first, then a checkpoint, then the move', (t) => {
  t.deepEqual(play(looked({ replaced: new Set() }), looked({ replaced: new Set(['a']) }), looked(), looked(), completed()), [
    'reserving: acquire-replacements a,b',
    'reserving: acquire-replacements b',
    'checkpointing: take-checkpoint',
    'checkpointing',
    'settled: move a,b',
  ])
})

test('a failure in between: the checkpoint is asked for again once all tasks run', (t) => {
  t.deepEqual(play(looked(), looked({ runs: false }), completed({ runs: false }), looked()), [
    'checkpointing: take-checkpoint',
    'reserving',
    'reserving',
    'checkpointing: take-checkpoint',
  ])
})

test('one more slot is to be left, or a replacement is lost: reserving again', (t) => {
  t.deepEqual(play(looked(), completed({ leaving: ['a', 'b', 'c'] }), looked({ leaving: ['a', 'b', 'c'] })), [
    'checkpointing: take-checkpoint',
    'reserving: acquire-replacements c',
    'reserving: acquire-replacements c',
  ])
})

test('in every phase: nothing to leave, or no checkpoints, and it is settled; tasks that do not run are never stopped', (t) => {
  for (const phase of ['settled', 'reserving', 'checkpointing'] as const)
    for (const kind of ['looked', 'checkpoint-completed'] as const) {
      for (const change of [{ leaving: [] }, { takesCheckpoints: false }])
        t.deepEqual(stepDrain(phase, { kind, view: view(change) }), { phase: 'settled', effects: [] })
      for (const change of [{ runs: false }, { replaced: new Set(['a']) }])
        t.false(said(stepDrain(phase, { kind, view: view(change) }).effects).some((effect) => effect.startsWith('move')))
    }
  t.deepEqual(said(stepDrain('reserving', completed()).effects), ['take-checkpoint']) // That one may have begun before all was there.
})
