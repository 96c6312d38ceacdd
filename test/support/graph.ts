import { graphOfFunction } from '#client/submit/program-runner.js'
import { seededRandom } from '#core/random.js'
import type { JobGraph } from '#protocol/graph/job-graph.js'

/** The graph that a program, as a function, submits first. */
export function graphOf(program: () => unknown, settings: Readonly<Record<string, string>> = {}): Promise<JobGraph> {
  return graphOfFunction(program, { clockMs: 1_700_000_000_000, random: seededRandom(1), jobId: '0'.repeat(32), defaults: settings })
}

/** 'Source: a -> b [2] =hash=> c [4]', a line an edge or a vertex without one. */
export function drawn({ vertices, edges }: JobGraph): readonly string[] {
  const text = (id: string) => {
    const { name, parallelism } = vertices.find((v) => v.id === id)!
    return `${name} [${parallelism}]`
  }
  const alone = vertices.filter((v) => !edges.some((e) => e.source === v.id || e.target === v.id))
  return [
    ...alone.map((v) => text(v.id)),
    ...edges.map((e) => `${text(e.source)} =${e.partitioner}${e.sideOutput ? `:${e.sideOutput}` : ''}=> ${text(e.target)}`),
  ]
}
