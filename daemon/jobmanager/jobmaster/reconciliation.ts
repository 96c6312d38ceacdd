/**
 * After a takeover: what the recorded deployment may have left running. A job begins anew only when each recorded slot is known to be
 * rid of its old attempts: the TaskManager has said so, has come back without them, or has not come at all in time and is given up.
 */
import type { SlotReport } from '#protocol/gateways/resource-manager-gateway.js'
import type { DeploymentRecord } from '#protocol/graph/deployment.js'

export interface Reconciliation {
  /** Allocations not known to be gone, by TaskManager. */
  readonly outstanding: Readonly<Record<string, readonly string[]>>
}
export type ReconciliationEvent =
  | { readonly kind: 'slots-reported'; readonly taskManagerId: string; readonly slots: readonly SlotReport[] }
  | { readonly kind: 'task-manager-lost'; readonly taskManagerId: string }
  /** Who has not come by now is lost. */
  | { readonly kind: 'deadline'; readonly connected: ReadonlySet<string> }

export function beginReconciliation(record: DeploymentRecord): Reconciliation {
  const outstanding: Record<string, string[]> = {}
  for (const { taskManagerId, allocationId } of record.attempts) {
    outstanding[taskManagerId] ??= []
    if (!outstanding[taskManagerId].includes(allocationId)) outstanding[taskManagerId].push(allocationId)
  }
  return { outstanding }
}

export function stepReconciliation({ outstanding }: Reconciliation, event: ReconciliationEvent): Reconciliation {
  switch (event.kind) {
    case 'slots-reported': {
      const there = new Set(event.slots.flatMap((slot) => (slot.state === 'FREE' ? [] : [slot.allocationId])))
      const left = (outstanding[event.taskManagerId] ?? []).filter((allocationId) => there.has(allocationId))
      return { outstanding: { ...without(outstanding, event.taskManagerId), ...(left.length > 0 ? { [event.taskManagerId]: left } : {}) } }
    }
    case 'task-manager-lost':
      return { outstanding: without(outstanding, event.taskManagerId) }
    case 'deadline':
      return { outstanding: Object.fromEntries(Object.entries(outstanding).filter(([id]) => event.connected.has(id))) }
  }
}

export function isReconciled({ outstanding }: Reconciliation): boolean {
  return Object.keys(outstanding).length === 0
}
export function waitsFor({ outstanding }: Reconciliation): string {
  return `waits until ${Object.keys(outstanding).join(', ')} has ended the tasks of the deployment before`
}

function without<V>(record: Readonly<Record<string, V>>, key: string): Record<string, V> {
  return Object.fromEntries(Object.entries(record).filter(([k]) => k !== key))
}
