/**
 * The operators of a task, linked. Records go through generated code (chain-generator.ts); watermarks, snapshots and the end of input
 * come here and reach each operator in order.
 */

import type { Clock } from '#core/clock.js'
import type { RuntimeContext } from '#core/functions/runtime-context.js'
import type { SubtaskState } from '#protocol/checkpoint/manifest.js'
import type { TaskRestore } from '#protocol/graph/deployment.js'
import type { RecordBatch, StreamEvent } from '../exchange/exchange.js'
import { noOutput } from '../operators/abstract-operator.js'
import type { Operator, OperatorContext, Output, TaskServices } from '../operators/operator.js'
import { type CreateWindowOperator, createOperator } from '../operators/operator-factory.js'
import { SourceOperator } from '../operators/source.js'
import type { ChunkStore, KeyedStateBackend, KeyedStateBackendOptions, MemoryBudget } from '../state/keyed-state-backend.js'
import { ChainGenerator, type Site } from './chain-generator.js'
import type { ChainLayout } from './chain-layout.js'
import { ClassOutput } from './class-chain.js'
import { deepFreeze } from './freeze-records.js'

export interface OperatorChainOptions {
  readonly layout: ChainLayout
  readonly site: Site
  readonly runtime: RuntimeContext
  readonly clock: Clock
  readonly chunks: ChunkStore
  readonly memory: MemoryBudget
  readonly keyGroups: readonly [number, number]
  readonly maxParallelism: number
  readonly restored?: TaskRestore
  readonly createKeyedState: (ctx: Pick<KeyedStateBackendOptions, 'operatorId' | 'fail'>) => KeyedStateBackend
  readonly createWindowOperator: CreateWindowOperator
  readonly services: Omit<TaskServices, 'emitWatermark' | 'emitIdle'>
  readonly freezeRecords: boolean
  /** `classes`: the readable reference, for tests. */
  readonly link: 'generated' | 'classes'
  /** Instead of the outputs that the layout gives: for harnesses. */
  readonly outputOf?: (index: number) => Output
}

export class OperatorChain {
  /** By index in the chain; fused operators are missing. */
  readonly #operators = new Map<number, Operator>()
  /** In chain order. */
  readonly #order: readonly (readonly [number, Operator])[]
  readonly #head: (batch: RecordBatch, input: number) => void
  readonly #services: TaskServices
  readonly source: SourceOperator | undefined
  readonly #holders: readonly Operator[]
  #watermark = -Infinity
  #isClosed = false

  constructor(private readonly options: OperatorChainOptions) {
    const { layout, services } = options
    this.#services = Object.assign(Object.create(services) as TaskServices, {
      emitWatermark: (index: number, timestamp: number) => this.#watermarkBehind(index, timestamp),
      emitIdle: (index: number, idle: boolean) => this.#broadcastBehind(index, { kind: 'stream-status', idle }),
    })
    const freeze = options.freezeRecords ? deepFreeze : undefined
    const generator = new ChainGenerator(layout, this.#operators, options.site, freeze)
    const fuses = options.link === 'generated'
    for (let index = layout.nodes.length - 1; index >= 0; index--) {
      if (fuses && generator.isFused(index)) continue
      const output = options.outputOf?.(index) ?? this.#output(index, generator)
      const ctx = this.#context(index, output)
      this.#operators.set(index, createOperator(ctx, index, this.#services, options.createWindowOperator))
    }
    this.#order = [...this.#operators].sort(([a], [b]) => a - b)
    this.#holders = this.#order.map(([, operator]) => operator).filter((operator) => 'holdsInput' in operator)
    const head = this.#operators.get(0)
    this.source = head instanceof SourceOperator ? head : undefined
    this.#head = head ? (batch, input) => head.processBatch(batch, input) : generator.headLoop()
  }
  #output(index: number, generator: ChainGenerator): Output {
    const { layout, site, link, freezeRecords } = this.options
    if (layout.targets(index).length === 0 && layout.tags(index).length === 0) return noOutput
    if (link === 'generated') return generator.output(index)
    return new ClassOutput(layout, this.#operators, site, index, freezeRecords ? deepFreeze : undefined)
  }
  #context(index: number, output: OperatorContext['output']): OperatorContext {
    const { layout, restored, services, createKeyedState } = this.options
    const fail = (error: unknown) => {
      this.#blame(index)
      services.fail(error)
    }
    const { spec, definition } = layout.nodes[index]!
    const states = restored?.operators[spec.id]
    return {
      spec,
      definition,
      output,
      runtime: this.options.runtime,
      clock: this.options.clock,
      chunks: this.options.chunks,
      memory: this.options.memory,
      keyGroups: this.options.keyGroups,
      maxParallelism: this.options.maxParallelism,
      ...(restored && states ? { restored: restoredOf(restored, spec.id, states) } : {}),
      ...(restored?.finished ? { finished: restored.finished } : {}),
      entering: () => this.#blame(index),
      createKeyedState: async () => {
        const backend = createKeyedState({ operatorId: spec.id, fail })
        if (states) await backend.restore(states)
        if (this.#isClosed) backend.close() // Its operator did not have it yet.
        return backend
      },
    }
  }
  /** From the last to the first, so that what an operator emits finds the ones behind it open. */
  async open(): Promise<void> {
    for (const [index, operator] of this.#order.toReversed()) {
      this.#blame(index)
      await operator.open()
    }
  }
  #blame(index: number): void {
    this.options.site.operator = index
    this.options.site.enter?.()
  }
  get operators(): readonly (readonly [number, Operator])[] {
    return this.#order
  }
  operator(index: number): Operator | undefined {
    return this.#operators.get(index)
  }
  processBatch(batch: RecordBatch, input: number): void {
    this.options.site.operator = 0
    this.#head(batch, input)
  }
  /** Some sink's write is pending. */
  get holdsInput(): boolean {
    for (const operator of this.#holders) if (operator.holdsInput) return true
    return false
  }

  get watermark(): number {
    return this.#watermark
  }
  /** From the input. Infinity, the end of event time, passes assigners of watermarks too. */
  processWatermark(timestamp: number): void {
    if (timestamp <= this.#watermark) return
    this.#watermark = timestamp
    const { layout } = this.options
    if (timestamp === Infinity) {
      for (const [index, operator] of this.#order) this.#enter(index, operator, timestamp)
      for (const { partition } of layout.partitions) partition.broadcastEvent({ kind: 'watermark', timestamp })
    } else if (layout.nodes[0]!.definition.kind !== 'timestamps') {
      const head = this.#operators.get(0)
      if (head) this.#enter(0, head, timestamp)
      this.#watermarkBehind(0, timestamp)
    }
  }
  processIdle(idle: boolean): void {
    if (this.options.layout.nodes[0]!.definition.kind !== 'timestamps') this.#broadcastBehind(0, { kind: 'stream-status', idle })
  }
  #enter(index: number, operator: Operator, timestamp: number): void {
    this.options.site.operator = index
    operator.processWatermark(timestamp)
  }
  #watermarkBehind(index: number, timestamp: number): void {
    if (index === 0 && this.source) this.#watermark = Math.max(this.#watermark, timestamp)
    for (const behind of this.options.layout.behind(index)) {
      const operator = this.#operators.get(behind)
      if (operator && this.options.layout.nodes[behind]!.definition.kind !== 'timestamps') this.#enter(behind, operator, timestamp)
    }
    this.#broadcastBehind(index, { kind: 'watermark', timestamp })
    this.options.site.operator = index
  }
  #broadcastBehind(index: number, event: StreamEvent): void {
    const { layout } = this.options
    const reached = [index, ...layout.behind(index).filter((i) => layout.nodes[i]!.definition.kind !== 'timestamps')]
    for (const p of layout.partitions) if (reached.includes(p.operator)) p.partition.broadcastEvent(event)
  }

  processProcessingTime(now: number): void {
    for (const [index, operator] of this.#order) {
      const due = operator.nextProcessingTime
      if (due === undefined || due > now) continue
      this.options.site.operator = index
      operator.processProcessingTime(now)
    }
  }
  get nextProcessingTime(): number | undefined {
    let next: number | undefined
    for (const [, operator] of this.#order) {
      const due = operator.nextProcessingTime
      if (due !== undefined && (next === undefined || due < next)) next = due
    }
    return next
  }
  /** All records have come: fires what is left, then lets each operator emit what it holds. */
  async finish(): Promise<void> {
    this.processWatermark(Infinity)
    for (const [index, operator] of this.#order) {
      this.#blame(index)
      await operator.endOfData()
    }
  }
  /** In order; every operator is closed, the first error is thrown. */
  async close(): Promise<void> {
    this.#isClosed = true
    const errors: unknown[] = []
    for (const [index, operator] of this.#order) {
      this.#blame(index)
      await operator.close().catch((error: unknown) => errors.push(error))
    }
    if (errors.length > 0) throw errors[0]
  }
}

function restoredOf(restore: TaskRestore, operatorId: string, states: readonly SubtaskState[]): NonNullable<OperatorContext['restored']> {
  const { checkpointId, parallelism, operatorParallelism, allowNonRestoredState = false } = restore
  return { checkpointId, states, parallelism: operatorParallelism?.[operatorId] ?? parallelism, allowNonRestoredState }
}
