/**
 * Where a slot worker is: the task whose code it runs, and the operator last entered in it. The words lie in shared memory, so that the
 * main thread can tell them of a worker that answers nothing, or has died of its memory. They are written by plain stores before each
 * call of user code, which cost no more than a field of an object.
 */
import type { JobGraph } from '#protocol/graph/job-graph.js'
import { describeOperator } from '../operators/operator-error.js'
import type { Site } from './chain-generator.js'

/** Vertex (its index in the job graph and one; 0: none), subtask, and the word with the operator; then one word a task. */
const VERTEX = 0
const SUBTASK = 1
const AT = 2
const FIRST = 3
/** Tasks of a slot beyond these are told without their operator. */
const TASKS_MAX = 1_021

export function createSiteMemory(): SharedArrayBuffer {
  return new SharedArrayBuffer(4 * (FIRST + TASKS_MAX))
}

/** What a task writes: `operator` of its own, and that it is the one which runs. */
export class TaskSite implements Site {
  constructor(
    private readonly words: Int32Array,
    private readonly at: number,
    private readonly slot: Int32Array,
    private readonly vertex: number,
    private readonly subtask: number,
  ) {}
  get operator(): number {
    return this.words[this.at]!
  }
  set operator(index: number) {
    this.words[this.at] = index
  }
  /** Its code is run from here on. */
  enter(): void {
    this.slot[VERTEX] = this.vertex + 1
    this.slot[SUBTASK] = this.subtask
    this.slot[AT] = this.words === this.slot ? this.at : 0
  }
}

/** The worker's end. An attempt writes where the last one of its subtask did. */
export class SlotSites {
  readonly #words: Int32Array
  readonly #known = new Map<string, TaskSite>()

  constructor(readonly memory: SharedArrayBuffer = createSiteMemory()) {
    this.#words = new Int32Array(memory)
  }
  /** `vertex`: its index in the job graph. */
  site(vertex: number, subtask: number): TaskSite {
    const name = `${vertex} ${subtask}`
    let site = this.#known.get(name)
    if (!site) {
      const fits = this.#known.size < TASKS_MAX
      const [words, at] = fits ? [this.#words, FIRST + this.#known.size] : [new Int32Array(1), 0]
      site = new TaskSite(words, at, this.#words, vertex, subtask)
      this.#known.set(name, site)
    }
    site.operator = 0
    return site
  }
  /** No task's code is run: the program is evaluated. */
  leave(): void {
    this.#words[VERTEX] = 0
  }
}

export interface LastSite {
  /** Index in the job graph. */
  readonly vertex: number
  readonly subtask: number
  /** Index in the vertex; undefined where it can not be told. */
  readonly operator: number | undefined
}

/** Any thread's view; undefined while no task was entered. */
export function lastSite(memory: SharedArrayBuffer): LastSite | undefined {
  const words = new Int32Array(memory)
  if (words[VERTEX] === 0) return undefined
  const at = words[AT]!
  return { vertex: words[VERTEX]! - 1, subtask: words[SUBTASK]!, operator: at === 0 ? undefined : words[at]! }
}

/** "operator 'b' (uid 'b', declared at …) of vertex 'a -> b', subtask 0 of 2". */
export function describeSite({ vertices }: JobGraph, site: LastSite): string {
  const vertex = vertices[site.vertex]
  if (!vertex) return `vertex ${site.vertex}`
  const spec = site.operator === undefined ? undefined : vertex.operators[site.operator]
  return `${spec ? `${describeOperator(spec)} of ` : ''}vertex '${vertex.name}', subtask ${site.subtask} of ${vertex.parallelism}`
}

/** The same with the operators that are chained to it: for what was found between two calls, which any of them may have caused. */
export function describeChain(jobGraph: JobGraph, site: LastSite): string {
  const others = jobGraph.vertices[site.vertex]?.operators.filter((_, index) => index !== site.operator) ?? []
  const chained = others.length === 0 ? '' : `, which is chained with ${others.map(describeOperator).join(', ')}`
  return describeSite(jobGraph, site) + chained
}
