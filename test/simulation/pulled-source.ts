import type { Source, SourceSplit } from '#core/functions/source.js'

interface Range extends SourceSplit {
  readonly next: number
  readonly last: number
}

/** The numbers from 1 to `count`, in ranges of three that readers ask for one by one, at most one number each `pauseMs`. */
export function pulledSource(count: number, pauseMs: number): Source<number, SourceSplit, unknown> {
  const all = Array.from({ length: Math.ceil(count / 3) }, (_, i): Range => {
    const next = i * 3 + 1
    return { splitId: `from ${next}`, next, last: Math.min(next + 2, count) }
  })
  const source: Source<number, Range, readonly Range[]> = {
    boundedness: 'bounded',
    createEnumerator: (ctx, restored) => {
      let open = restored ?? all
      return {
        start() {},
        handleSplitRequest(reader) {
          const [first, ...rest] = open
          open = rest
          if (first) ctx.assignSplit(first, reader)
          else ctx.signalNoMoreSplits(reader)
        },
        addSplitsBack(splits) {
          open = [...splits, ...open]
        },
        snapshotState: () => open,
      }
    },
    createReader: (ctx) => {
      let splits: readonly Range[] = []
      let asked = false
      let ended = false
      let pausedUntil = 0
      let arrived = () => {}
      return {
        pollNext(out) {
          const [current, ...rest] = splits
          if (!current) {
            if (ended) return 'end-of-input'
            if (!asked) ctx.sendSplitRequest()
            asked = true
            return 'nothing-available'
          }
          if (ctx.clock.monotonicMs() < pausedUntil) return 'nothing-available'
          pausedUntil = ctx.clock.monotonicMs() + pauseMs
          out.collect(current.next)
          splits = current.next === current.last ? rest : [{ ...current, next: current.next + 1 }, ...rest]
          return 'more-available'
        },
        isAvailable: () =>
          new Promise((resolve) => {
            arrived = resolve
            if (splits.length > 0) ctx.clock.setTimer(pauseMs, resolve)
          }),
        addSplits(more) {
          splits = [...splits, ...more]
          asked = false
          arrived()
        },
        notifyNoMoreSplits() {
          ended = true
          arrived()
        },
        snapshotState: () => splits,
      }
    },
  }
  return source as unknown as Source<number, SourceSplit, unknown>
}
