import test from 'ava'
import type { SourceSplit, SplitEnumerator, SplitEnumeratorContext } from '#core/functions/source.js'
import { between } from '#core/random.js'
import { type AnySource, SourceWorld } from './source-world.js'

const SPLITS = Array.from({ length: 40 }, (_, i): SourceSplit => ({ splitId: `split-${String(i).padStart(2, '0')}` }))
const ALL = SPLITS.map(({ splitId }) => splitId)

type Create = (ctx: SplitEnumeratorContext<SourceSplit>, restored: unknown) => SplitEnumerator<SourceSplit, unknown>
const sourceOf = (createEnumerator: Create): AnySource => ({
  boundedness: 'bounded',
  createReader() {
    throw new Error('no reader here')
  },
  createEnumerator,
})

/** Hands a split to whoever asks. */
const pulling = sourceOf((ctx, restored) => {
  let open = (restored as readonly SourceSplit[] | undefined) ?? SPLITS
  return {
    start() {},
    handleSplitRequest(reader) {
      const [next, ...rest] = open
      open = rest
      if (next) ctx.assignSplit(next, reader)
      else ctx.signalNoMoreSplits(reader)
    },
    addSplitsBack(splits) {
      open = [...open, ...splits]
    },
    snapshotState: () => open,
  }
})

/** Finds splits as time passes, and leaves it to the engine who gets them. */
const pushing = sourceOf((ctx, restored) => {
  let found = (restored as number | undefined) ?? 0
  const find = async () => found
  return {
    start() {
      ctx.callAsync(
        find,
        () => {
          for (const split of SPLITS.slice(found, found + 4)) ctx.assignSplit(split)
          found = Math.min(found + 4, SPLITS.length)
          if (found === SPLITS.length) ctx.signalNoMoreSplits()
        },
        { every: 60 },
      )
    },
    addSplitsBack(splits) {
      for (const split of splits) ctx.assignSplit(split)
    },
    snapshotState: () => found,
  }
})

/** Says at the start which reader gets what, whether it has registered or not. */
const planning = sourceOf((ctx, restored) => ({
  start() {
    if (restored) return
    for (const [i, split] of SPLITS.entries()) ctx.assignSplit(split, i % ctx.parallelism)
    ctx.signalNoMoreSplits()
  },
  addSplitsBack(splits, reader) {
    for (const split of splits) ctx.assignSplit(split, reader)
  },
  snapshotState: () => 'planned',
}))

for (const [name, source] of Object.entries({ pulling, pushing, planning }))
  test(`${name}: whatever fails, each split is processed exactly once`, async (t) => {
    for (let seed = 1; seed <= 20; seed++) {
      const world = new SourceWorld(t, seed, source)
      void world.start()
      for (let round = 0; round < 8; round++) {
        await world.clock.advance(between(world.random, 10, 150))
        const dice = world.random.next()
        if (dice < 0.35) void world.checkpoint()
        else if (dice < 0.6) void world.failReader(between(world.random, 0, 3))
        else if (dice < 0.75) void world.restartAll()
        else if (dice < 0.95) void world.endReign()
        await world.clock.advance(between(world.random, 0, 200))
      }
      world.lossRate = 0
      await world.clock.runUntil(() => world.ended, { withinMs: 60_000 })
      t.deepEqual(world.failures, [])
      t.deepEqual(world.done, ALL, `seed ${seed}`)
    }
  })
