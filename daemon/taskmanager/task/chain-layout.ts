/** Who feeds whom in a chain. Operators are in topological order; each has one input, any number of readers, and partitions behind it. */
import type { OperatorDefinition } from '#core/functions/operator-definition.js'
import type { JobEdge, OperatorSpec } from '#protocol/graph/job-graph.js'
import type { ResultPartition } from '../exchange/exchange.js'

export interface ChainNode {
  readonly spec: OperatorSpec
  readonly definition: OperatorDefinition
}
export interface ChainPartition {
  /** Index of the operator that it takes records from. */
  readonly operator: number
  /** The side output that it takes; undefined: the main output. */
  readonly tag: string | undefined
  readonly partition: ResultPartition
}
export type Target = { readonly kind: 'operator'; readonly index: number } | { readonly kind: 'partition'; readonly index: number }

export class ChainLayout {
  constructor(
    readonly nodes: readonly ChainNode[],
    readonly partitions: readonly ChainPartition[],
  ) {}
  /** What reads the main output of an operator, or a side output. */
  targets(operator: number, tag?: string): readonly Target[] {
    const operators = this.nodes.flatMap(({ spec }, index): Target[] =>
      spec.input === operator && spec.inputTag === tag ? [{ kind: 'operator', index }] : [],
    )
    const partitions = this.partitions.flatMap((p, index): Target[] =>
      p.operator === operator && p.tag === tag ? [{ kind: 'partition', index }] : [],
    )
    return [...operators, ...partitions]
  }
  tags(operator: number): readonly string[] {
    const chained = this.nodes.filter(({ spec }) => spec.input === operator).map(({ spec }) => spec.inputTag)
    const sent = this.partitions.filter((p) => p.operator === operator).map((p) => p.tag)
    return [...new Set([...chained, ...sent])].filter((tag) => tag !== undefined)
  }
  /** The operators that a watermark of this one reaches, itself left out: up to the next that makes its own. */
  behind(operator: number): readonly number[] {
    return this.nodes.flatMap(({ spec }, index) => {
      if (spec.input !== operator) return []
      return this.nodes[index]!.definition.kind === 'timestamps' ? [index] : [index, ...this.behind(index)]
    })
  }
}

/** Index in the chain of the operator that an edge leaves from. */
export function operatorOf(nodes: readonly { readonly spec: OperatorSpec }[], edge: JobEdge): number {
  const index = nodes.findIndex(({ spec }) => spec.uid === edge.sourceOperator || spec.id === edge.sourceOperator)
  if (index < 0) throw new Error(`edge ${edge.id} leaves from ${edge.sourceOperator}, which is not in the chain`)
  return index
}
