/** The types of a submitted graph's fields: it came over the network as any JSON, and the engine relies on all of them. */
import type { OperatorDefinition } from '#core/functions/operator-definition.js'
import type { JobEdge, JobGraph, JobVertex, OperatorSpec, ProgramSpec } from '#protocol/graph/job-graph.js'

/** Undefined: the value is as it must be. Otherwise what is wrong, with the path of the field. */
type Check = (value: unknown, path: string) => string | undefined
type Fields<T> = { readonly [F in keyof T]-?: Check }

const TEXT_MAX = 10_000
const KINDS: Readonly<Record<OperatorDefinition['kind'], true>> = {
  source: true,
  map: true,
  filter: true,
  flatMap: true,
  process: true,
  keyedProcess: true,
  reduce: true,
  rollingAggregate: true,
  window: true,
  timestamps: true,
  sink: true,
  collect: true,
}

const text: Check = (value, path) => {
  if (typeof value !== 'string') return expected('a string', value, path)
  return value.length > TEXT_MAX ? `${path} has ${value.length} characters, at most ${TEXT_MAX} are possible` : undefined
}
/** Its range is checked where its meaning is known. */
const number: Check = (value, path) => (typeof value === 'number' ? undefined : expected('a number', value, path))
const wholeNumber: Check = (value, path) =>
  Number.isSafeInteger(value) && (value as number) >= 0 ? undefined : expected('a whole number', value, path)
const anything: Check = () => undefined

const optional =
  (check: Check): Check =>
  (value, path) =>
    value === undefined ? undefined : check(value, path)

const oneOf =
  (...values: readonly string[]): Check =>
  (value, path) =>
    values.includes(value as string) ? undefined : expected(`one of ${values.join(', ')}`, value, path)

const listOf =
  (check: Check): Check =>
  (value, path) => {
    if (!Array.isArray(value)) return expected('a list', value, path)
    return firstOf(value, (item, i) => check(item, `${path}[${i}]`))
  }

const recordOf =
  (check: Check): Check =>
  (value, path) =>
    isObject(value) ? firstOf(Object.entries(value), ([name, item]) => check(item, `${path}.${name}`)) : expected('an object', value, path)

/** A field that no version knows is let through: a newer client may send it. */
function object<T>(fields: Fields<T>): Check {
  return (value, path) => {
    if (!isObject(value)) return expected('an object', value, path)
    const entries = Object.entries<Check>(fields)
    return firstOf(entries, ([name, check]) => check(value[name], path === '' ? name : `${path}.${name}`))
  }
}

const program = object<ProgramSpec>({
  args: listOf(text),
  env: recordOf(text),
  clockMs: number,
  randomSeed: number,
  once: recordOf(anything),
  executeIndex: wholeNumber,
  earlierResults: listOf(anything),
  jobArgs: anything,
})
const operator = object<OperatorSpec>({
  uid: text,
  id: text,
  name: text,
  kind: oneOf(...Object.keys(KINDS)),
  input: optional(wholeNumber),
  inputTag: optional(text),
  declaredAt: optional(text),
  boundedness: optional(oneOf('bounded', 'continuous-unbounded')),
})
const vertex = object<JobVertex>({
  id: text,
  name: text,
  parallelism: number,
  maxParallelism: number,
  slotSharingGroup: text,
  operators: listOf(operator),
})
const edge = object<JobEdge>({
  id: text,
  source: text,
  sourceOperator: text,
  target: text,
  targetOperator: text,
  sideOutput: optional(text),
  partitioner: text,
  targetInput: number,
})
const graph = object<JobGraph>({
  jobId: text,
  jobName: text,
  artifact: optional(text),
  program,
  fingerprint: text,
  settings: recordOf(text),
  vertices: listOf(vertex),
  edges: listOf(edge),
})

/** The first field that is not of its type: 'vertices[0].name must be a string, not 7'. */
export function wrongFieldOf(value: unknown): string | undefined {
  return graph(value, '')
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
function firstOf<T>(items: readonly T[], check: (item: T, index: number) => string | undefined): string | undefined {
  for (const [index, item] of items.entries()) {
    const wrong = check(item, index)
    if (wrong !== undefined) return wrong
  }
  return undefined
}
function expected(what: string, value: unknown, path: string): string {
  const found = value === undefined ? 'it is missing' : `not ${(JSON.stringify(value) ?? String(value)).slice(0, 80)}`
  return `${path || 'the job graph'} must be ${what}, ${found}`
}
