import { FlottError } from '#core/errors.js'
import type { OperatorDefinition } from '#core/functions/operator-definition.js'
import { callingLine } from './declared-at.js'
import { hasState, ownedInstance, refuseAsync, sealStates } from './function-checks.js'
import type { Transformation, Upstream } from './transformation.js'

export interface TransformationOptions {
  readonly uid?: string
  readonly name?: string
  readonly parallelism?: number
  readonly maxParallelism?: number
  readonly slotSharingGroup?: string
  readonly chaining?: 'start-new' | 'never'
}

export const MAX_PARALLELISM = 32_768 // Key groups are 15 bits, as Flink's.

/** The steps of one environment since its last execute. Whatever is wrong with a step is thrown by the line that adds it. */
export class TransformationRegistry {
  #next = 0
  #steps: Transformation[] = []
  #byUid = new Map<string, Transformation>()
  #owners = new Map<object, Transformation>()

  constructor(
    private readonly options: {
      readonly autoGenerateUids: boolean
      /** In a worker nobody reads the lines, and finding them costs a stack trace an operator. */
      readonly recordLines: boolean
    },
  ) {}

  /** `defaultName` where the options have neither name nor uid. `nonParallel`: an operator that sees all records. */
  add(
    definition: OperatorDefinition,
    upstreams: readonly Upstream[],
    options: TransformationOptions,
    naming: { readonly prefix?: string; readonly defaultName: string; readonly nonParallel?: boolean },
  ): Transformation {
    const base = options.name ?? options.uid ?? naming.defaultName
    const name = `${naming.prefix ?? ''}${base}`
    for (const { from } of upstreams) {
      if (from.registry !== this)
        throw new FlottError('FOREIGN_STREAM', `'${from.name}' belongs to another environment`, { operator: from.name })
    }
    checkNumbers(options, name)
    if (naming.nonParallel && options.parallelism !== undefined && options.parallelism !== 1)
      throw new FlottError('INVALID_ARGUMENT', `'${name}' sees all records: its parallelism is 1`, { operator: name })
    refuseAsync(definition, name)
    if (options.uid === undefined && !this.options.autoGenerateUids && hasState(definition))
      throw new FlottError('UID_MISSING', `'${name}' has state and needs a uid: pipeline.auto-generate-uids is false`, { operator: name })
    const declaredAt = this.options.recordLines ? callingLine() : undefined
    const parallelism = naming.nonParallel ? 1 : options.parallelism
    const step: Transformation = Object.freeze({
      registry: this,
      index: this.#next,
      definition,
      name,
      upstreams,
      ...(options.uid === undefined ? {} : { uid: options.uid }),
      ...(parallelism === undefined ? {} : { parallelism }),
      ...(options.maxParallelism === undefined ? {} : { maxParallelism: options.maxParallelism }),
      ...(options.slotSharingGroup === undefined ? {} : { slotSharingGroup: options.slotSharingGroup }),
      ...(options.chaining === undefined ? {} : { chaining: options.chaining }),
      ...(declaredAt === undefined ? {} : { declaredAt }),
    })
    this.#claimUid(step)
    this.#claimInstance(step)
    sealStates(definition, name)
    this.#next++
    this.#steps.push(step)
    return step
  }

  /** The steps of the job that is executed now; the next ones belong to the next job. */
  take(): readonly Transformation[] {
    const steps = this.#steps
    this.#steps = []
    this.#byUid = new Map()
    this.#owners = new Map()
    return steps
  }

  #claimUid(step: Transformation): void {
    if (step.uid === undefined) return
    const other = this.#byUid.get(step.uid)
    if (other) throw duplicateUid(other, step)
    this.#byUid.set(step.uid, step)
  }
  #claimInstance(step: Transformation): void {
    const instance = ownedInstance(step.definition)
    if (!instance) return
    const other = this.#owners.get(instance)
    if (other) {
      const message = `'${other.name}'${at(other)} and '${step.name}' share one ${instance.constructor.name} object: make one for each`
      throw new FlottError('INSTANCE_SHARED', message, { operator: step.name })
    }
    this.#owners.set(instance, step)
  }
}

export function duplicateUid(first: Transformation, second: Transformation): FlottError {
  const message = `uid '${second.uid}' is that of '${first.name}'${at(first)} and of '${second.name}'${at(second)}`
  return new FlottError('DUPLICATE_UID', message, { operator: second.name })
}
function at(step: Transformation): string {
  return step.declaredAt === undefined ? '' : ` (${step.declaredAt})`
}

function checkNumbers({ uid, parallelism, maxParallelism }: TransformationOptions, operator: string): void {
  if (uid === '') throw new FlottError('INVALID_ARGUMENT', `the uid of '${operator}' is empty`, { operator })
  checkCount('parallelism', parallelism, operator)
  checkCount('maxParallelism', maxParallelism, operator)
  if (parallelism !== undefined && maxParallelism !== undefined && parallelism > maxParallelism)
    throw aboveMax(operator, parallelism, maxParallelism)
}
function checkCount(what: string, count: number | undefined, operator: string): void {
  if (count === undefined || (Number.isInteger(count) && count >= 1 && count <= MAX_PARALLELISM)) return
  throw new FlottError('INVALID_ARGUMENT', `${what} ${count} of '${operator}' is not between 1 and ${MAX_PARALLELISM}`, { operator })
}
export function aboveMax(operator: string, parallelism: number, maxParallelism: number): FlottError {
  const message = `'${operator}' has parallelism ${parallelism}, its max parallelism is ${maxParallelism}`
  return new FlottError('PARALLELISM_ABOVE_MAX', message, { operator })
}
