/** The job as submitted: chained vertices and the edges between them. Plain JSON; holds names of functions (operator uids), never code. */
export type Partitioner = 'forward' | 'hash' | 'rebalance' | 'rescale' | 'broadcast' | 'global' | 'shuffle' | 'custom'

export interface JobGraph {
  /** 32 hex digits. */
  readonly jobId: string
  readonly jobName: string
  /** Name of the artifact blob, 'artifact/<sha256>'; undefined where the program runs in this process (simulation). */
  readonly artifact?: string
  readonly program: ProgramSpec
  /** Hash over uids, kinds and edges: what the slot builds must match. Numbers such as parallelism are not part of it. */
  readonly fingerprint: string
  /** Job-level configuration: options.ts keys as text, those that the client or the program set. */
  readonly settings: Readonly<Record<string, string>>
  /** In topological order. */
  readonly vertices: readonly JobVertex[]
  readonly edges: readonly JobEdge[]
}

/** How to evaluate the program again in a worker, so that it builds the same graph. */
export interface ProgramSpec {
  readonly args: readonly string[]
  /** Allowed environment variables, as they were at the client. */
  readonly env: Readonly<Record<string, string>>
  /** Date.now() and the seed of Math.random() during the build. */
  readonly clockMs: number
  readonly randomSeed: number
  /** Values of env.once(name, …), as JSON values. */
  readonly once: Readonly<Record<string, unknown>>
  /** Which execute() of the program this job is, from 0; earlier ones return `earlierResults`. */
  readonly executeIndex: number
  readonly earlierResults: readonly unknown[]
  /** Arguments of a module whose default export is made by defineJob; undefined for a script. */
  readonly jobArgs?: unknown
}

export interface JobVertex {
  /** 32 hex digits, made from the head operator's uid. */
  readonly id: string
  /** 'Source: lines -> words -> counts'. */
  readonly name: string
  readonly parallelism: number
  readonly maxParallelism: number
  readonly slotSharingGroup: string
  /** The chain in topological order; [0] is its head. */
  readonly operators: readonly OperatorSpec[]
}

export interface OperatorSpec {
  readonly uid: string
  /** stableId(uid): 32 hex digits, the name of its state in checkpoints. */
  readonly id: string
  readonly name: string
  /** The `kind` of its OperatorDefinition (core/functions/operator-definition.ts). */
  readonly kind: string
  /** Index in `operators` of the operator it takes input from; undefined for the head. */
  readonly input?: number
  /** It takes that operator's side output of this tag instead of its main output. */
  readonly inputTag?: string
  /** The source line that declared it, 'src/job.ts:12:5', for error messages. */
  readonly declaredAt?: string
  readonly boundedness?: 'bounded' | 'continuous-unbounded'
}

export interface JobEdge {
  /** '<source operator uid>-><target operator uid>#<n>', n counting edges between the same two. */
  readonly id: string
  /** Vertex ids, and operator uids within them. */
  readonly source: string
  readonly sourceOperator: string
  readonly target: string
  readonly targetOperator: string
  /** The tag of the side output that feeds the edge; undefined for the main output. */
  readonly sideOutput?: string
  readonly partitioner: Partitioner
  /** Which input of the target's head: 0, or 1 for the second input of connected streams. */
  readonly targetInput: number
}
