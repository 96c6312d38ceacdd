import test from 'ava'
import { clusterWatch } from '#client/cli/connect.js'

const leader = (jobManagerId: string, reign: number) => ({
  jobManagerId,
  epoch: { incarnation: 0, czxid: String(reign).padStart(16, '0') },
})

function underTest() {
  const notes: string[] = []
  return { notes, watch: clusterWatch({ note: (line) => void notes.push(line) }) }
}

test('a change of leader is one line, also after trouble that was short', (t) => {
  const { notes, watch } = underTest()
  watch.onAnswer(undefined)
  watch.onAnswer(leader('jm-0', 1))
  watch.onTrouble(new Error('refused'), 900)
  watch.onAnswer(leader('jm-1', 2))
  watch.onAnswer(leader('jm-0', 1)) // Was on its way.
  watch.onAnswer(leader('jm-1', 2))
  t.deepEqual(notes, ['The leader has changed: jm-1 leads now.'])
})

test('that nobody answers is told once it has lasted, and that somebody does', (t) => {
  const { notes, watch } = underTest()
  watch.onAnswer(leader('jm-0', 1))
  for (const lastedMs of [0, 500, 1_500, 3_000]) watch.onTrouble(new Error('refused\nby all'), lastedMs)
  watch.onAnswer(leader('jm-0', 1))
  t.deepEqual(notes, ['The cluster does not answer (refused); trying again.', 'The cluster answers again.'])
})

test('an address that does not answer at first is told at once', (t) => {
  const { notes, watch } = underTest()
  watch.onTrouble(new Error('refused'), 0)
  watch.onAnswer(leader('jm-0', 1))
  t.deepEqual(notes, ['The cluster does not answer (refused); trying again.', 'The cluster answers again.'])
})
