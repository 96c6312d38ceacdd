import type { JobGraph } from '#protocol/graph/job-graph.js'

/** One slot holds subtask `index` of every vertex of a slot-sharing group that has one; so a group needs as many as its widest vertex. */
export interface SharedSlot {
  readonly key: string
  readonly group: string
  readonly index: number
}
export function sharedSlotKey(group: string, index: number): string {
  return `${group}/${index}`
}

export function sharedSlots(graph: JobGraph): readonly SharedSlot[] {
  const widest = new Map<string, number>()
  for (const { slotSharingGroup, parallelism } of graph.vertices)
    widest.set(slotSharingGroup, Math.max(widest.get(slotSharingGroup) ?? 0, parallelism))
  return [...widest].flatMap(([group, count]) =>
    Array.from({ length: count }, (_, index) => ({ key: sharedSlotKey(group, index), group, index })),
  )
}
