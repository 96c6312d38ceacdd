import test from 'ava'
import type { OperatorDefinition } from '#core/functions/operator-definition.js'
import { outputTag } from '#core/functions/output-tag.js'
import { between, pick, type Random, seededRandom } from '#core/random.js'
import { batchOf, type ChainSketch, makeChain, RecordingPartition } from '../support/chains.js'

type Numbers = { collect: (r: number) => void }

const tag = outputTag<number>('side')

/** A chain that is a tree of the operators without state, the same for the same seed. */
function randomOperators(random: Random): ChainSketch['operators'] {
  const kinds: ((n: number) => OperatorDefinition)[] = [
    (n) => ({ kind: 'map', f: (x: number) => (x * 7 + n) % 1_000 }),
    (n) => ({ kind: 'filter', f: (x: number) => x % (n + 2) !== 0 }),
    (n) => ({ kind: 'flatMap', f: (x: number) => (x % 2 === 0 ? [x, x + n] : []) }),
    (n) => ({
      kind: 'flatMap',
      f: ((x: number, out: Numbers) => {
        out.collect(x)
        out.collect(x + n)
      }) as never,
    }),
    (n) => ({
      kind: 'flatMap',
      f: ((x: number, out: Numbers) => {
        out.collect(-x)
        return [x + n]
      }) as never,
    }),
    (n) => ({
      kind: 'process',
      f: {
        processElement(x: number, ctx: { output(t: unknown, r: number): void }, out: { collect: (r: number) => void }) {
          out.collect(x + n)
          ctx.output(tag, x)
          if (x % 3 === 0) out.collect(x)
        },
      } as never,
    }),
  ]
  const count = between(random, 1, 8)
  return Array.from({ length: count }, (_, index) => {
    const definition = pick(random, kinds)(between(random, 1, 9))
    if (index === 0) return definition
    return { ...definition, input: random.next() < 0.7 ? index - 1 : between(random, 0, index) }
  })
}

function run(seed: number, link: 'generated' | 'classes') {
  const random = seededRandom(seed)
  const operators = randomOperators(random)
  const outputs = operators.flatMap((definition, operator) => [
    ...(random.next() < 0.6 || operator === operators.length - 1 ? [{ operator, partition: new RecordingPartition() }] : []),
    ...(definition.kind === 'process' && random.next() < 0.5 ? [{ operator, tag: 'side', partition: new RecordingPartition() }] : []),
  ])
  const { chain } = makeChain({ operators, outputs, link })
  const values = Array.from({ length: 12 }, () => between(random, 0, 1_000))
  chain.processBatch(batchOf(values), 0)
  chain.processBatch(
    batchOf(
      values,
      values.map((_, i) => i * 10),
    ),
    0,
  )
  return outputs.map(({ partition }) => partition.records)
}

test('generated chains do what the classes do', (t) => {
  for (let seed = 1; seed <= 100; seed++) t.deepEqual(run(seed, 'generated'), run(seed, 'classes'), `seed ${seed}`)
})

for (const link of ['generated', 'classes'] as const) {
  const failing: readonly [string, OperatorDefinition, string][] = [
    ['map', { kind: 'map', f: async (x: number) => x }, 'PROMISE_RETURNED'],
    ['filter', { kind: 'filter', f: (async () => true) as never }, 'PROMISE_RETURNED'],
    ['flatMap', { kind: 'flatMap', f: (async () => []) as never }, 'PROMISE_RETURNED'],
    ['process', { kind: 'process', f: { processElement: async () => {} } as never }, 'PROMISE_RETURNED'],
    [
      'time stamp',
      { kind: 'process', f: { processElement: (_: unknown, ctx: { timestamp: number }) => void ctx.timestamp } as never },
      'NO_TIMESTAMP',
    ],
  ]
  for (const [name, definition, code] of failing)
    test(`${link}: ${code} of ${name}`, (t) => {
      const { chain, site } = makeChain({
        operators: [{ kind: 'map', f: (x: number) => x }, definition],
        outputs: [{ operator: 1, partition: new RecordingPartition() }],
        link,
      })
      t.throws(() => chain.processBatch(batchOf([1]), 0), { code })
      t.is(site.operator, 1)
    })

  test(`${link}: a collector or context kept beyond its call`, (t) => {
    let collect: ((r: number) => void) | undefined
    let context: { timestamp: number } | undefined
    const { chain } = makeChain({
      operators: [
        {
          kind: 'flatMap',
          f: ((_: number, out: Numbers) => {
            collect = out.collect
          }) as never,
        },
      ],
      outputs: [{ operator: 0, partition: new RecordingPartition() }],
      link,
    })
    chain.processBatch(batchOf([1], [5]), 0)
    t.throws(() => collect!(1), { code: 'USED_AFTER_CALL' })
    const second = makeChain({
      operators: [
        {
          kind: 'process',
          f: {
            processElement(_: number, ctx: { timestamp: number }) {
              context = ctx
            },
          } as never,
        },
      ],
      outputs: [{ operator: 0, partition: new RecordingPartition() }],
      link,
    })
    second.chain.processBatch(batchOf([1], [5]), 0)
    t.throws(() => context!.timestamp, { code: 'USED_AFTER_CALL' })
  })

  test(`${link}: frozen records show who changes them`, (t) => {
    const { chain } = makeChain({
      operators: [
        { kind: 'map', f: () => ({ n: { m: 1 } }) },
        {
          kind: 'map',
          f: (r: { n: { m: number } }) => {
            r.n.m = 2
            return r
          },
        },
      ],
      outputs: [{ operator: 1, partition: new RecordingPartition() }],
      link,
      freezeRecords: true,
    })
    t.throws(() => chain.processBatch(batchOf([1]), 0), { instanceOf: TypeError })
  })

  test(`${link}: who was entered last, when what is behind had its turn`, (t) => {
    const { chain, site } = makeChain({
      operators: [
        {
          kind: 'flatMap',
          f: ((x: number, out: Numbers) => {
            out.collect(x)
            throw new Error('after')
          }) as never,
        },
        { kind: 'map', f: (x: number) => x },
      ],
      outputs: [{ operator: 1, partition: new RecordingPartition() }],
      link,
    })
    t.throws(() => chain.processBatch(batchOf([1]), 0), { message: 'after' })
    t.is(site.operator, 0)
  })
}
