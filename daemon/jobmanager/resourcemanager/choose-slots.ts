export interface FreeSlot {
  readonly taskManagerId: string
  readonly slotIndex: number
}

/**
 * The slot that each of the requests gets, in their order: one of the TaskManager that it prefers, where that has one left; the others get
 * what nobody of them prefers, in the order given, so that TaskManagers are filled one after the other (Flink's default). Undefined when
 * there are too few.
 */
export function chooseSlots(
  requests: readonly { readonly preferred?: string }[],
  free: readonly FreeSlot[],
): readonly FreeSlot[] | undefined {
  if (free.length < requests.length) return undefined
  const left = new Set(free)
  const take = (slot: FreeSlot | undefined) => {
    if (slot) left.delete(slot)
    return slot
  }
  const byTaskManager = new Map<string, FreeSlot[]>()
  for (const slot of free) byTaskManager.set(slot.taskManagerId, [...(byTaskManager.get(slot.taskManagerId) ?? []), slot])
  const chosen = requests.map(({ preferred }) => take(preferred === undefined ? undefined : byTaskManager.get(preferred)?.shift()))
  const others = [...left]
  return chosen.map((slot) => slot ?? others.shift()!)
}
