import test from 'ava'
import { fitManifest } from '#jobmanager/jobmaster/checkpoint/fit-manifest.js'
import { restoreOf } from '#jobmanager/jobmaster/checkpoint/restore.js'
import type { CheckpointManifest, SubtaskState, VertexManifest } from '#protocol/checkpoint/manifest.js'
import type { JobGraph, JobVertex } from '#protocol/graph/job-graph.js'
import { linearGraph } from '../../../../support/job-master-fixture.js'

const STRICT = { allowNonRestoredState: false }

/** Vertices of operators by name: 'source+count' is a chain, ':2' its parallelism, '!' a subtask that had FINISHED. */
function graphOf(...chains: readonly string[]): JobGraph {
  const vertices = chains.map((text): JobVertex => {
    const [names = '', parallelism = '1'] = text.split(':')
    const operators = names
      .split('+')
      .map((uid) => ({ uid, id: `op-${uid}`, name: uid, kind: uid === 'source' ? 'source' : 'keyedProcess' }))
    return { ...linearGraph([{ name: names, kind: '', parallelism: Number(parallelism) }]).vertices[0]!, operators }
  })
  return { ...linearGraph([]), vertices }
}
const keyed = (uid: string, subtaskIndex: number): SubtaskState => ({
  subtaskIndex,
  keyed: [{ blob: `${uid} ${subtaskIndex}`, bytes: 1, crc32: 0 }],
})
function manifestOf(
  graph: JobGraph,
  options: { readonly finished?: readonly string[]; readonly stateless?: readonly string[] } = {},
): CheckpointManifest {
  const { finished = [], stateless = [] } = options
  const stateOf = (uid: string, i: number): SubtaskState => (stateless.includes(uid) ? { subtaskIndex: i, keyed: [] } : keyed(uid, i))
  const vertices = graph.vertices.map(
    ({ id, parallelism, maxParallelism, operators }): VertexManifest => ({
      vertexId: id,
      parallelism,
      maxParallelism,
      operatorIds: operators.map((operator) => operator.id),
      subtasks: Array.from({ length: parallelism }, (_, i) => ({
        subtaskIndex: i,
        finished: finished.includes(id),
        operators: finished.includes(id) ? {} : Object.fromEntries(operators.map(({ id: op, uid }) => [op, stateOf(uid, i)])),
      })),
    }),
  )
  return {
    version: 1,
    jobId: graph.jobId,
    checkpointId: 7,
    triggerTimestamp: 0,
    completedTimestamp: 0,
    kind: 'checkpoint',
    vertices,
    coordinators: {},
    checkpointedSize: 0,
    stateSize: 0,
  }
}
/** 'op-count: count 0, count 1', an operator each. */
function restored(manifest: CheckpointManifest, graph: JobGraph, vertex: number, subtask: number): readonly string[] {
  const { id, parallelism } = graph.vertices[vertex]!
  const operators = restoreOf(manifest, id, subtask, parallelism)?.operators ?? {}
  return Object.entries(operators).map(([op, states]) => `${op}: ${states.flatMap((s) => s.keyed.map(({ blob }) => blob)).join(', ')}`)
}

test('operators find their state wherever they are chained now', (t) => {
  const before = graphOf('source:2', 'count+sum:2')
  const now = graphOf('source+count:2', 'sum:2')
  const fitted = fitManifest(manifestOf(before), now, STRICT)
  t.deepEqual(restored(fitted, now, 0, 1), ['op-source: source 1', 'op-count: count 1'])
  t.deepEqual(restored(fitted, now, 1, 0), ['op-sum: sum 0'])
})

test('a new operator begins with nothing; one without state may go', (t) => {
  const now = graphOf('source+extra', 'other')
  const fitted = fitManifest(manifestOf(graphOf('source', 'gone'), { stateless: ['gone'] }), now, STRICT)
  t.deepEqual(restored(fitted, now, 0, 0), ['op-source: source 0'])
  t.is(restoreOf(fitted, 'other', 0, 1), undefined)
})

test('state of an operator that is gone is an error that names it, unless it may be left behind', (t) => {
  const before = graphOf('source', 'count')
  const manifest = { ...manifestOf(before), coordinators: { 'op-old': { bytes: new Uint8Array(), assigned: {} } } }
  t.throws(() => fitManifest(manifest, graphOf('source'), { ...STRICT, before }), {
    code: 'STATE_NOT_RESTORED',
    message: /has state of 'count', 'op-old', which the job does not have; --allowNonRestoredState \(-n\)/,
  })
  const fitted = fitManifest(manifest, graphOf('source'), { allowNonRestoredState: true })
  t.deepEqual(fitted.coordinators, {})
  t.deepEqual(restored(fitted, graphOf('source'), 0, 0), ['op-source: source 0'])
})

test('operators that had different parallelisms and are one chain now each get their own share', (t) => {
  const before = graphOf('source:1', 'count:2')
  const now = graphOf('source+count:2')
  const fitted = fitManifest(manifestOf(before), now, STRICT)
  t.deepEqual(restored(fitted, now, 0, 0), ['op-source: source 0', 'op-count: count 0'])
  t.deepEqual(restored(fitted, now, 0, 1), ['op-source: source 0', 'op-count: count 1'], 'chunks without key groups may hold any')
  const { parallelism, operatorParallelism } = restoreOf(fitted, 'source+count', 1, 2)!
  t.deepEqual({ parallelism, operatorParallelism }, { parallelism: 1, operatorParallelism: { 'op-source': 1, 'op-count': 2 } })
})

test('a subtask has finished where all that it is made of had, at the same parallelism', (t) => {
  const before = graphOf('source:2', 'count:2')
  const finished = (graph: JobGraph, ...vertices: string[]) =>
    fitManifest(manifestOf(before, { finished: vertices }), graph, STRICT).vertices.map(({ subtasks }) => subtasks.every((s) => s.finished))
  t.deepEqual(finished(before, 'source'), [true, false])
  t.deepEqual(finished(graphOf('source+count:2'), 'source'), [false])
  t.deepEqual(finished(graphOf('source+count:2'), 'source', 'count'), [true])
  t.deepEqual(finished(graphOf('source:1', 'count:2'), 'source', 'count'), [false, true])
})

test('another max parallelism, or another kind of operator, is an error where there is state', (t) => {
  const before = graphOf('source', 'count')
  const [source, count] = before.vertices
  const other = { ...before, vertices: [source!, { ...count!, maxParallelism: 256 }] }
  t.throws(() => fitManifest(manifestOf(before), other, STRICT), {
    code: 'MAX_PARALLELISM_CHANGED',
    message: /'count' has .*256, and 128 in/,
  })
  t.notThrows(() => fitManifest(manifestOf(before, { stateless: ['count'] }), other, STRICT))
  const ofKind = (kind: string) => ({ ...before, vertices: [source!, { ...count!, operators: [{ ...count!.operators[0]!, kind }] }] })
  t.throws(() => fitManifest(manifestOf(before), ofKind('map'), { ...STRICT, before }), {
    code: 'STATE_INCOMPATIBLE',
    message: /'count' is a map, .* of a keyedProcess/,
  })
  t.notThrows(() => fitManifest(manifestOf(before), ofKind('reduce'), { ...STRICT, before }))
})
