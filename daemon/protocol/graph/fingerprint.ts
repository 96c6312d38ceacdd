/**
 * What a worker's evaluation of the program must have in common with the client's: uids, kinds and edges. Numbers are not part of it,
 * nor what follows from them: chaining, and whether an edge forwards or rebalances. The parts can be computed from the program's
 * operators as well as from the JobGraph, so that the first difference can be named.
 */
import { createHash } from 'node:crypto'
import type { JobGraph, Partitioner } from './job-graph.js'

export interface FingerprintInput {
  readonly operators: readonly { readonly uid: string; readonly kind: string }[]
  readonly edges: readonly {
    readonly source: string
    readonly target: string
    readonly tag?: string | undefined
    readonly partitioner: Partitioner
  }[]
}

export function fingerprintParts({ operators, edges }: FingerprintInput): readonly string[] {
  const parts = [
    ...operators.map(({ uid, kind }) => `operator ${uid}: ${kind}`),
    ...edges.map(({ source, target, tag, partitioner }) => {
      const spread = partitioner === 'forward' || partitioner === 'rebalance' ? '' : `, ${partitioner}`
      return `edge ${source} -> ${target}${spread}${tag === undefined ? '' : `, side output ${tag}`}`
    }),
  ]
  return parts.sort()
}

export function fingerprintOf(parts: readonly string[]): string {
  return createHash('sha256').update(parts.join('\n')).digest('hex').slice(0, 32)
}

export function jobGraphFingerprintParts({ vertices, edges }: Pick<JobGraph, 'vertices' | 'edges'>): readonly string[] {
  const chained = vertices.flatMap(({ operators }) =>
    operators.flatMap(({ uid, input, inputTag }) =>
      input === undefined ? [] : [{ source: operators[input]!.uid, target: uid, tag: inputTag, partitioner: 'forward' as const }],
    ),
  )
  const exchanged = edges.map((edge) => ({
    source: edge.sourceOperator,
    target: edge.targetOperator,
    tag: edge.sideOutput,
    partitioner: edge.partitioner,
  }))
  return fingerprintParts({ operators: vertices.flatMap((v) => v.operators), edges: [...chained, ...exchanged] })
}

/** The first part of each side that the other has not; operators before edges, which differ in consequence. undefined where both agree. */
export function firstDifference(expected: readonly string[], found: readonly string[]): string | undefined {
  const missing = firstWithout(expected, found)
  const extra = firstWithout(found, expected)
  if (missing !== undefined && extra !== undefined) return `the client built "${missing}", this evaluation "${extra}"`
  if (missing !== undefined) return `the client built "${missing}", this evaluation did not`
  return extra === undefined ? undefined : `this evaluation built "${extra}", the client did not`
}

function firstWithout(parts: readonly string[], others: readonly string[]): string | undefined {
  const own = parts.filter((part) => !others.includes(part))
  return own.find((part) => part.startsWith('operator ')) ?? own[0]
}
