import test from 'ava'
import {
  accumulator,
  aggregates,
  type Configuration,
  type DataStream,
  defineJob,
  discardSink,
  type KeyedContext,
  KeyedProcessFunction,
  ProcessFunction,
  StreamExecutionEnvironment,
  type ValueState,
  valueState,
  windows,
} from '#client/index.js'
import type { ErrorCode } from '#core/errors.js'
import { graphOf } from '../../../support/graph.js'

const environment = (config?: Configuration) => StreamExecutionEnvironment.getExecutionEnvironment(config)
const numbers = (env = environment()) => env.fromSequence(1, 9, 'numbers')
const count = valueState('count', { initial: 0 })

class Counter extends KeyedProcessFunction<number, number, number> {
  readonly count = this.getState(count)
  processElement() {}
}
class Late extends KeyedProcessFunction<number, number, number> {
  state: ValueState<number> | undefined
  processElement() {
    this.state = this.getState(count)
  }
}
class Twice extends KeyedProcessFunction<number, number, number> {
  readonly a = this.getState(count)
  readonly b = this.getState(count)
  processElement() {}
}
class Plain extends ProcessFunction<number, number> {
  processElement() {}
}

/** The error names its operator where there is one, and is thrown by the call itself. */
function thrown(code: ErrorCode, detail: RegExp, build: () => unknown) {
  test(`${code}: ${detail.source}`, (t) => {
    const error = t.throws(build, { code, message: detail })
    t.regex(error.message, new RegExp(`^${code}: `))
  })
}

thrown('DUPLICATE_UID', /'same' is that of 'first' \(.*build-errors.*\) and of 'second'/, () => {
  const stream = numbers().map((n) => n, { uid: 'same', name: 'first' })
  stream.map((n) => n, { uid: 'same', name: 'second' })
})
thrown('UID_MISSING', /'Keyed Reduce' has state/, () =>
  numbers(environment({ 'pipeline.auto-generate-uids': false }))
    .map((n) => n)
    .keyBy((n) => n)
    .reduce((a, b) => a + b),
)
thrown('DUPLICATE_STATE', /state 'count' is declared twice/, () => new Twice())
thrown('DUPLICATE_STATE', /'p' declares two states named 'count'/, () =>
  numbers()
    .keyBy((n) => n)
    .process(new Counter(), { uid: 'p', state: [count] }),
)
thrown('STATE_DECLARED_LATE', /state 'count'/, () => {
  const late = new Late()
  numbers()
    .keyBy((n) => n)
    .process(late, 'p')
  late.processElement()
})
thrown('INSTANCE_SHARED', /'p'.* and 'q' share one Plain object/, () => {
  const stream = numbers()
  const shared = new Plain()
  stream.process(shared, 'p')
  stream.process(shared, 'q')
})
const asynchronous = (async () => {}) as unknown as (n: number) => number
thrown('ASYNC_FUNCTION', /map of 'm' is async/, () => numbers().map(asynchronous, 'm'))
thrown('ASYNC_FUNCTION', /flatMap of 'm' is async/, () => numbers().flatMap(function* () {} as unknown as () => number[], 'm'))
thrown('ASYNC_FUNCTION', /onTimer of 'p' is async/, () =>
  numbers()
    .keyBy((n) => n)
    .process<number>({ processElement() {}, onTimer: asynchronous as unknown as () => void }, 'p'),
)
thrown('ASYNC_FUNCTION', /each of 'w' is async/, () =>
  numbers().windowAll(windows.tumbling('1 s')).aggregate(aggregates.count(), asynchronous, 'w'),
)
thrown('MERGE_MISSING', /accumulator 'a'/, () =>
  accumulator('a', { createAccumulator: () => 0, add: (_: number, a: number) => a, getResult: (a) => a }),
)
thrown('FOREIGN_STREAM', /'Source: numbers' belongs to another environment/, () => numbers().union(numbers()))
thrown('INVALID_DURATION', /'5 mins'/, () => windows.tumbling('5 mins' as '5 min'))
thrown('INVALID_DURATION', /'soon'/, () => numbers().assignTimestampsAndWatermarks({ maxOutOfOrderness: 'soon' as '1 s' }))
thrown('INVALID_CONFIG', /unknown key 'paralelism.default'; did you mean parallelism.default\?/, () =>
  environment({ 'paralelism.default': 4 } as unknown as Configuration),
)
thrown('INVALID_CONFIG', /rest\.port is no setting of a job/, () => environment({ 'rest.port': 1 } as unknown as Configuration))
thrown('INVALID_CONFIG', /parallelism\.default expects a whole number/, () => environment({ 'parallelism.default': 0.5 }))
thrown('JOB_ARGS_NOT_JSON', /job 'j': args\.at is a Date/, () =>
  defineJob('file:///x.ts', 'j', (_env, _args: { at: Date }) => {})({ at: new Date(0) }),
)
thrown('JOB_ARGS_NOT_JSON', /args\.list\.1 is NaN/, () =>
  defineJob('file:///x.ts', 'j', (_env, _args: unknown) => {})({ list: [1, Number.NaN] }),
)
thrown('PARALLELISM_ABOVE_MAX', /'m' has parallelism 5, its max parallelism is 4/, () =>
  numbers().map((n) => n, { uid: 'm', parallelism: 5, maxParallelism: 4 }),
)
thrown('INVALID_ARGUMENT', /'w' sees all records/, () =>
  numbers()
    .windowAll(windows.tumbling('1 s'))
    .reduce((a) => a, { uid: 'w', parallelism: 2 }),
)

test('while the graph is generated', async (t) => {
  const rejects = async (code: ErrorCode, build: (env: StreamExecutionEnvironment) => void, settings = {}) => {
    const run = graphOf(() => {
      const env = environment()
      build(env)
      return env.execute()
    }, settings)
    await t.throwsAsync(run, { code })
  }
  await rejects('EMPTY_GRAPH', () => {})
  await rejects('EMPTY_GRAPH', (env) => numbers(env).map((n) => n))
  await rejects('PARALLELISM_ABOVE_MAX', (env) => numbers(env).sinkTo(discardSink(), { parallelism: 9 }), {
    'pipeline.max-parallelism': '8',
  })
  await rejects('INVALID_ARGUMENT', (env) =>
    numbers(env)
      .forward()
      .map((n) => n, { parallelism: 2 })
      .print(),
  )
  await t.throwsAsync(
    graphOf(() => {}),
    { code: 'EMPTY_GRAPH' },
  )
})

test('a plain function and an aggregate may serve twice, and the next job may have the same uids', async (t) => {
  const isBig = (n: number) => n > 3
  const build = (stream: DataStream<number>) => stream.filter(isBig, 'a').filter(isBig, 'b').print()
  const env = environment()
  build(numbers(env))
  const graph = await graphOf(() => {
    const other = environment()
    build(numbers(other))
    return other.execute()
  })
  t.is(graph.vertices.length, 1)
  t.notThrows(() =>
    numbers()
      .keyBy((n) => n)
      .process((_n: number, _ctx: KeyedContext<number>) => {}, { state: [count] }),
  )
})
