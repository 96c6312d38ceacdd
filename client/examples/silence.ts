/** Reports devices that have not been heard of for a while: keyed state and event-time timers. `silence '{"timeout": "5 min", "beats": "beats/", "silences": "silences/"}'` */
import {
  type Collector,
  type Duration,
  defineJob,
  fileSink,
  fileSource,
  formats,
  type Infer,
  type KeyedContext,
  KeyedProcessFunction,
  millis,
  types,
  valueState,
} from 'flott'

const heartbeat = types.row({ device: types.string, at: types.timestamp })
const silence = types.row({ device: types.string, since: types.timestamp })
export const deadline = valueState('deadline', { initial: 0 })

export class SilenceAlert extends KeyedProcessFunction<string, Infer<typeof heartbeat>, Infer<typeof silence>> {
  readonly #deadline = this.getState(deadline)
  readonly #timeoutMs: number
  constructor(timeout: Duration) {
    super()
    this.#timeoutMs = millis(timeout)
  }
  processElement(beat: Infer<typeof heartbeat>, { timerService }: KeyedContext<string>) {
    const next = beat.at + this.#timeoutMs
    if (next <= Math.max(this.#deadline.value, timerService.currentWatermark)) return // An older beat, or a late one.
    timerService.deleteEventTimeTimer(this.#deadline.value)
    timerService.registerEventTimeTimer(next)
    this.#deadline.value = next
  }
  override onTimer(time: number, ctx: KeyedContext<string>, out: Collector<Infer<typeof silence>>) {
    out.collect({ device: ctx.currentKey, since: time - this.#timeoutMs })
    this.#deadline.clear()
  }
}

export default defineJob(import.meta.url, 'silence', (env, args: { timeout: Duration; beats: string; silences: string }) => {
  env
    .fromSource(fileSource(args.beats, formats.json(heartbeat), { monitorInterval: '1 s' }), {
      uid: 'beats',
      watermarks: { timestamp: 'at', maxOutOfOrderness: '5 s', idleness: '1 min' },
    })
    .keyBy('device')
    .process(new SilenceAlert(args.timeout), 'silence')
    .sinkTo(fileSink(args.silences, formats.json(silence)), 'silences')
})
