import test from 'ava'
import { type Duration, millis } from '#core/duration.js'
import { type Collector, type Context, type KeyedContext, KeyedProcessFunction } from '#core/functions/functions.js'
import { outputTag } from '#core/functions/output-tag.js'
import { listState, valueState } from '#core/state/state.js'
import { harness, keyedHarness } from '#testing/index.js'

interface Ping {
  readonly device: string
  readonly at: number
}
interface Silence {
  readonly device: string
  readonly since: number
}
const deadline = valueState<number>('deadline')

class SilenceAlert extends KeyedProcessFunction<string, Ping, Silence> {
  readonly #deadline = this.getState(deadline)
  readonly #timeoutMs: number
  constructor(timeout: Duration) {
    super()
    this.#timeoutMs = millis(timeout)
  }
  processElement(ping: Ping, ctx: KeyedContext<string>): void {
    if (this.#deadline.value !== undefined) ctx.timerService.deleteEventTimeTimer(this.#deadline.value)
    this.#deadline.value = ping.at + this.#timeoutMs
    ctx.timerService.registerEventTimeTimer(this.#deadline.value)
  }
  override onTimer(at: number, ctx: KeyedContext<string>, out: Collector<Silence>): void {
    out.collect({ device: ctx.currentKey, since: at - this.#timeoutMs })
  }
}

test('a device that stops is reported once, also after a restore', async (t) => {
  const before = await keyedHarness(new SilenceAlert('1 min'), 'device')
  before.processElement({ device: 'a', at: 1_000 })
  before.processElement({ device: 'a', at: 5_000 })
  t.is(before.state(deadline, 'a').value, 65_000)
  const after = await keyedHarness(new SilenceAlert('1 min'), 'device', { restore: await before.snapshot() })
  after.processWatermark(Infinity)
  t.deepEqual(after.output, [{ device: 'a', since: 5_000 }])
})

test('state by option, processing time, side outputs', async (t) => {
  const late = outputTag<Ping>('late')
  const seen = listState<number>('seen')
  const h = await keyedHarness<string, Ping, string>(
    {
      processElement(ping, ctx) {
        ctx.getState(seen).add(ping.at)
        if (ping.at < 0) ctx.output(late, ping)
        ctx.timerService.registerProcessingTimeTimer(ctx.timerService.currentProcessingTime + 500)
      },
      onTimer(at, ctx, out, domain) {
        out.collect(`${ctx.currentKey} ${at} ${domain} ${[...ctx.getState(seen)].join()}`)
      },
    },
    (ping) => ping.device,
    { state: [seen] },
  )
  h.processElement({ device: 'x', at: 1 })
  h.advanceProcessingTime('200 ms')
  h.processElement({ device: 'y', at: -2 })
  h.processElement({ device: 'x', at: 3 })
  h.advanceProcessingTime('1 s')
  t.deepEqual(h.output, ['x 500 processing-time 1,3', 'y 700 processing-time -2', 'x 700 processing-time 1,3'])
  t.deepEqual(h.sideOutput(late), [{ device: 'y', at: -2 }])
  t.deepEqual([...h.state(seen, 'x')], [1, 3])
  t.throws(() => h.state(deadline, 'x'), { code: 'STATE_NOT_DECLARED' })
})

test('without a key; records are frozen; what is thrown has its cause', async (t) => {
  const h = await harness<{ n: number }, number>((record: { n: number }, ctx: Context, out: Collector<number>) => {
    if (record.n < 0) record.n = 0
    out.collect(record.n + ctx.timestamp)
  })
  h.processElement({ n: 1 }, 10)
  t.deepEqual(h.output, [11])
  const error = t.throws(() => h.processElement({ n: -1 }, 10), { code: 'USER_FUNCTION_FAILED' })
  t.true(error.cause instanceof TypeError)
  t.throws(() => h.processElement({ n: 1 }), { code: 'NO_TIMESTAMP' })
})
