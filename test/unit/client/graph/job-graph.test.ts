import test from 'ava'
import { discardSink, fileSink, formats, outputTag, StreamExecutionEnvironment, types, windows } from '#client/index.js'
import { stableId } from '#core/ids.js'
import { drawn, graphOf } from '../../../support/graph.js'

const environment = () => StreamExecutionEnvironment.getExecutionEnvironment()
const done = (env: StreamExecutionEnvironment) => env.execute('job')

test('steps of one parallelism with forward edges are one task', async (t) => {
  const graph = await graphOf(() => {
    const env = environment()
    env
      .fromSequence(1, 9, 'numbers')
      .map((n) => n * 2, 'double')
      .filter((n) => n > 3)
      .sinkTo(discardSink(), 'nowhere')
    return done(env)
  })
  t.deepEqual(drawn(graph), ['Source: numbers -> double -> Filter -> Sink: nowhere [1]'])
  const [vertex] = graph.vertices
  t.is(vertex!.id, stableId('numbers'))
  t.is(vertex!.maxParallelism, 128)
  t.deepEqual(
    vertex!.operators.map(({ uid, kind, input }) => [uid, kind, input]),
    [
      ['numbers', 'source', undefined],
      ['double', 'map', 0],
      ['filter-2', 'filter', 1],
      ['nowhere', 'sink', 2],
    ],
  )
  t.regex(vertex!.operators[1]!.declaredAt!, /job-graph\.test\.[tj]s:\d+:\d+$/)
  t.is(vertex!.operators[0]!.boundedness, 'bounded')
})

test('keyBy, another parallelism, repartitioning, union, groups and chaining options begin a task', async (t) => {
  const draw = async (build: (env: StreamExecutionEnvironment) => void, settings = {}) =>
    drawn(
      await graphOf(() => {
        const env = environment()
        build(env)
        return done(env)
      }, settings),
    )
  const record = (n: number) => ({ n, key: `${n % 3}` })
  t.deepEqual(
    await draw((env) => env.fromSequence(1, 9, 's').map(record, 'm').keyBy('key').sum('n', 'sum').print(), { 'parallelism.default': '2' }),
    ['Source: s -> m [2] =hash=> sum -> Sink: Print to Std. Out [2]'],
  )
  t.deepEqual(await draw((env) => env.fromSequence(1, 9, 's').map(record, { uid: 'm', parallelism: 3 }).sinkTo(discardSink(), 'd')), [
    'Source: s [1] =rebalance=> m [3]',
    'm [3] =rebalance=> Sink: d [1]',
  ])
  for (const kind of ['rebalance', 'rescale', 'shuffle', 'global', 'broadcast'] as const)
    t.deepEqual(await draw((env) => env.fromSequence(1, 9, 's')[kind]().sinkTo(discardSink(), 'd')), [
      `Source: s [1] =${kind}=> Sink: d [1]`,
    ])
  t.deepEqual(
    await draw((env) =>
      env
        .fromSequence(1, 9, 's')
        .partitionCustom(
          (key: number, n) => key % n,
          (n) => n,
        )
        .sinkTo(discardSink(), 'd'),
    ),
    ['Source: s [1] =custom=> Sink: d [1]'],
  )
  t.deepEqual(
    await draw((env) => {
      const [a, b] = [env.fromSequence(1, 9, 'a'), env.fromSequence(1, 9, 'b')]
      a.union(b, a).sinkTo(discardSink(), 'd')
    }),
    ['Source: a [1] =forward=> Sink: d [1]', 'Source: b [1] =forward=> Sink: d [1]', 'Source: a [1] =forward=> Sink: d [1]'],
  )
  t.deepEqual(
    await draw((env) => {
      const s = env.fromSequence(1, 9, 's')
      s.map((n) => n, { uid: 'new', chaining: 'start-new' }).sinkTo(discardSink(), 'd1')
      s.map((n) => n, { uid: 'never', chaining: 'never' }).sinkTo(discardSink(), 'd2')
      s.map((n) => n, { uid: 'group', slotSharingGroup: 'other' }).sinkTo(discardSink(), 'd3')
    }),
    [
      'Source: s [1] =forward=> new -> Sink: d1 [1]',
      'Source: s [1] =forward=> never [1]',
      'never [1] =forward=> Sink: d2 [1]',
      'Source: s [1] =forward=> group -> Sink: d3 [1]',
    ],
  )
  t.deepEqual(
    await draw(
      (env) =>
        env
          .fromSequence(1, 9, 's')
          .map((n) => n, 'm')
          .sinkTo(discardSink(), 'd'),
      { 'pipeline.operator-chaining.enabled': 'false' },
    ),
    ['Source: s [1] =forward=> m [1]', 'm [1] =forward=> Sink: d [1]'],
  )
})

test('a chain branches, and a side output is chained or sent', async (t) => {
  const late = outputTag<number>('late')
  const graph = await graphOf(() => {
    const env = environment()
    const split = env.fromSequence(1, 9, 's').process<number>((n, ctx) => ctx.output(late, n), 'split')
    split.sinkTo(discardSink(), 'main')
    split
      .getSideOutput(late)
      .map((n) => n, 'm')
      .sinkTo(discardSink(), 'side')
    split.getSideOutput(late).rebalance().sinkTo(discardSink(), 'far')
    return done(env)
  })
  t.deepEqual(drawn(graph), ['Source: s -> split -> (Sink: main, m -> Sink: side) [1] =rebalance:late=> Sink: far [1]'])
  t.is(graph.vertices[0]!.operators.find((o) => o.uid === 'm')!.inputTag, 'late')
})

test('numbers: windowAll and collections are not parallel; max parallelism as Flink derives it', async (t) => {
  const graph = await graphOf(
    () => {
      const env = environment()
      env
        .fromData([1, 2], 'data')
        .rebalance()
        .map((n) => ({ n }), 'm')
        .windowAll(windows.tumbling('1 s'))
        .sum('n', 'all')
        .sinkTo(discardSink(), 'd')
      return done(env)
    },
    { 'parallelism.default': '100' },
  )
  t.deepEqual(
    graph.vertices.map((v) => [v.name, v.parallelism, v.maxParallelism]),
    [
      ['Source: data', 1, 128],
      ['m', 100, 256],
      ['all', 1, 128],
      ['Sink: d', 100, 256],
    ],
  )
})

test('the fingerprint is of uids, kinds and edges, not of numbers', async (t) => {
  const build = (options: { uid?: string; parallelism?: number; keyed?: boolean } = {}) =>
    graphOf(() => {
      const env = environment()
      const stream = env.fromSequence(1, 9, 's').map((n) => n, { uid: options.uid ?? 'm', parallelism: options.parallelism ?? 1 })
      ;(options.keyed ? stream.keyBy((n) => n) : stream).sinkTo(discardSink(), 'd')
      return done(env)
    })
  const { fingerprint } = await build()
  t.is((await build({ parallelism: 7 })).fingerprint, fingerprint)
  t.not((await build({ uid: 'n' })).fingerprint, fingerprint)
  t.not((await build({ keyed: true })).fingerprint, fingerprint)
})

test('a graph is JSON, and its settings are text', async (t) => {
  const graph = await graphOf(() => {
    const env = StreamExecutionEnvironment.getExecutionEnvironment({
      'execution.checkpointing.interval': 500,
      'pipeline.global-job-parameters': { a: '1', b: 'x y' },
    })
    env
      .fromData([{ a: 1 }], { uid: 's', type: types.row({ a: types.int }) })
      .sinkTo(fileSink('out', formats.json(types.row({ a: types.int }))), 'f')
    return done(env)
  })
  t.deepEqual(JSON.parse(JSON.stringify(graph)), graph)
  t.deepEqual(graph.settings, { 'execution.checkpointing.interval': '500', 'pipeline.global-job-parameters': 'a:1,b:x y' })
})
