/** Which operator a window definition gets. */
import { FlottError } from '#core/errors.js'
import type { WindowDefinition } from '#core/functions/operator-definition.js'
import type { Operator, OperatorContext } from './operator.js'
import { createTriggeredWindowOperator } from './window-triggered.js'
import { createTumblingWindowOperator } from './window-tumbling.js'

/** INVALID_ARGUMENT for evictors and for windows that merge. */
export function createWindowOperator(ctx: OperatorContext): Operator {
  const { assigner, options } = ctx.definition as WindowDefinition
  if (options.evictor !== undefined) throw new FlottError('INVALID_ARGUMENT', 'evictors are not supported')
  if (assigner.mergeWindows !== undefined)
    throw new FlottError('INVALID_ARGUMENT', 'windows that merge (session windows) are not supported')
  const hasDefaultTrigger = options.trigger === undefined || options.trigger === assigner.defaultTrigger
  return assigner.tumbling !== undefined && hasDefaultTrigger ? createTumblingWindowOperator(ctx) : createTriggeredWindowOperator(ctx)
}
