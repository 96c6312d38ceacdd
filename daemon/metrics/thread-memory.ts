import { constants, type PerformanceEntry, PerformanceObserver } from 'node:perf_hooks'
import { getHeapStatistics } from 'node:v8'

/** Of one V8 heap, or of several together. */
export interface MemoryUsage {
  readonly heapUsedBytes: number
  readonly heapCommittedBytes: number
  readonly heapMaxBytes: number
  /** What V8 has from malloc, beside its heap. */
  readonly nonHeapBytes: number
  /** Buffers and other memory outside the heap that objects in it own. */
  readonly directBytes: number
  /** By name of the collector, since the thread started. */
  readonly collections: Readonly<Record<string, GarbageCollections>>
}
export interface GarbageCollections {
  readonly count: number
  readonly timeMs: number
}

interface GcEntry extends PerformanceEntry {
  readonly detail?: { readonly kind?: number }
}
const COLLECTORS: ReadonlyMap<number, string> = new Map([
  [constants.NODE_PERFORMANCE_GC_MINOR, 'scavenge'],
  [constants.NODE_PERFORMANCE_GC_MAJOR, 'mark-sweep-compact'],
  [constants.NODE_PERFORMANCE_GC_INCREMENTAL, 'incremental-marking'],
  [constants.NODE_PERFORMANCE_GC_WEAKCB, 'weak-callbacks'],
])

/** Counts the collections of the thread that makes it; the answer describes that thread's memory. To be made once a thread. */
export function watchThreadMemory(): () => MemoryUsage {
  const collections: Record<string, GarbageCollections> = {}
  for (const name of COLLECTORS.values()) collections[name] = { count: 0, timeMs: 0 }
  new PerformanceObserver((list) => {
    for (const { detail, duration } of list.getEntries() as GcEntry[]) {
      const name = COLLECTORS.get(detail?.kind ?? 0) ?? 'other'
      const before = collections[name] ?? { count: 0, timeMs: 0 }
      collections[name] = { count: before.count + 1, timeMs: before.timeMs + duration }
    }
  }).observe({ entryTypes: ['gc'] })
  return () => {
    const heap = getHeapStatistics()
    return {
      heapUsedBytes: heap.used_heap_size,
      heapCommittedBytes: heap.total_heap_size,
      heapMaxBytes: heap.heap_size_limit,
      nonHeapBytes: heap.malloced_memory,
      directBytes: heap.external_memory,
      collections: { ...collections },
    }
  }
}

export function sumOfCollections(all: readonly MemoryUsage['collections'][]): MemoryUsage['collections'] {
  const sum: Record<string, GarbageCollections> = {}
  for (const [name, { count, timeMs }] of all.flatMap((collections) => Object.entries(collections))) {
    const before = sum[name] ?? { count: 0, timeMs: 0 }
    sum[name] = { count: before.count + count, timeMs: before.timeMs + timeMs }
  }
  return sum
}
