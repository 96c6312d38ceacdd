import type { OperatorDefinition } from '#core/functions/operator-definition.js'
import { CollectOperator } from './collect.js'
import { FilterOperator } from './filter.js'
import { FlatMapOperator } from './flat-map.js'
import { KeyedProcessOperator } from './keyed-process.js'
import { MapOperator } from './map.js'
import type { Operator, OperatorContext, TaskServices } from './operator.js'
import { ProcessOperator } from './process.js'
import { ReduceOperator } from './reduce.js'
import { RollingAggregateOperator } from './rolling-aggregate.js'
import { isTwoPhase, SinkOperator, TwoPhaseSinkOperator } from './sink.js'
import { SourceOperator } from './source.js'
import { TimestampsOperator } from './timestamps.js'

export type CreateWindowOperator = (ctx: OperatorContext) => Operator

/** The operator of a definition. `index` is its place in the chain: where its watermarks begin. */
export function createOperator(ctx: OperatorContext, index: number, services: TaskServices, windows: CreateWindowOperator): Operator {
  const definition: OperatorDefinition = ctx.definition
  switch (definition.kind) {
    case 'source':
      return new SourceOperator(ctx, index, services)
    case 'map':
      return new MapOperator(definition, ctx.output)
    case 'filter':
      return new FilterOperator(definition, ctx.output)
    case 'flatMap':
      return new FlatMapOperator(definition, ctx.output)
    case 'process':
      return new ProcessOperator(ctx)
    case 'keyedProcess':
      return new KeyedProcessOperator(ctx)
    case 'reduce':
      return new ReduceOperator(ctx)
    case 'rollingAggregate':
      return new RollingAggregateOperator(ctx)
    case 'window':
      return windows(ctx)
    case 'timestamps':
      return new TimestampsOperator(ctx, index, services)
    case 'sink':
      return isTwoPhase(definition.sink) ? new TwoPhaseSinkOperator(ctx, services) : new SinkOperator(ctx, services)
    case 'collect':
      return new CollectOperator(ctx, services)
  }
}
