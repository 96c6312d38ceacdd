import test from 'ava'
import { validateJobGraph } from '#jobmanager/dispatcher/graph-validation.js'
import type { JobEdge, JobGraph, JobVertex } from '#protocol/graph/job-graph.js'
import { edge, graph, vertex } from '../../../support/job-graphs.js'

const sound = graph([vertex('a', 1, { kind: 'source' }), vertex('b', 2)], [edge('a', 'b')])
const withVertex = (change: Partial<JobVertex>): JobGraph => ({
  ...sound,
  vertices: [{ ...sound.vertices[0]!, ...change }, sound.vertices[1]!],
})
const withEdge = (change: object): JobGraph => ({ ...sound, edges: [{ ...sound.edges[0]!, ...change } as JobEdge] })

test('a sound graph is accepted', (t) => t.notThrows(() => validateJobGraph(sound)))

const WRONG: readonly (readonly [string, JobGraph, string, RegExp])[] = [
  ['job id', { ...sound, jobId: 'ABC' }, 'JOB_SUBMISSION_FAILED', /32 lower-case hex digits/],
  ['no vertices', { ...sound, vertices: [], edges: [] }, 'JOB_SUBMISSION_FAILED', /no vertices/],
  ['vertex id', withVertex({ id: 'F'.repeat(32) }), 'JOB_SUBMISSION_FAILED', /vertex 'a' has the id/],
  ['parallelism', withVertex({ parallelism: 0 }), 'JOB_SUBMISSION_FAILED', /parallelism 0/],
  ['parallelism above max', withVertex({ parallelism: 129 }), 'PARALLELISM_ABOVE_MAX', /129, above its max parallelism 128/],
  ['max parallelism', withVertex({ maxParallelism: 40_000 }), 'JOB_SUBMISSION_FAILED', /highest is 32768/],
  ['no operators', withVertex({ operators: [] }), 'JOB_SUBMISSION_FAILED', /no operators/],
  ['duplicate uid', withVertex({ operators: sound.vertices[1]!.operators }), 'DUPLICATE_UID', /uid 'b'/],
  ['chain', withVertex({ operators: [{ ...sound.vertices[0]!.operators[0]!, input: 0 }] }), 'JOB_SUBMISSION_FAILED', /not chained/],
  ['partitioner', withEdge({ partitioner: 'zigzag' }), 'JOB_SUBMISSION_FAILED', /unknown partitioner 'zigzag'/],
  ['edge source', withEdge({ source: 'x' }), 'JOB_SUBMISSION_FAILED', /unknown vertex x/],
  ['edge operator', withEdge({ sourceOperator: 'b' }), 'JOB_SUBMISSION_FAILED', /'b' is no operator of its source/],
  ['input', withEdge({ targetInput: 2 }), 'JOB_SUBMISSION_FAILED', /input 2/],
  ['cycle', graph([vertex('a', 1), vertex('b', 1)], [edge('a', 'b'), edge('b', 'a')]), 'JOB_SUBMISSION_FAILED', /cycle through 'a', 'b'/],
  ['same edge twice', { ...sound, edges: [edge('a', 'b'), edge('a', 'b')] }, 'JOB_SUBMISSION_FAILED', /two edges/],
]
for (const [name, wrong, code, message] of WRONG)
  test(`refused: ${name}`, (t) => {
    t.throws(() => validateJobGraph(wrong), { code, message })
  })
