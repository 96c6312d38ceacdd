/** Seconds per page and minute with a watermark at each record, so that what is late is late on every run; lines like 'minute> {…}'. */
import { outputTag, StreamExecutionEnvironment, windows } from 'flott'

interface View {
  page: string
  at: number
  seconds: number
}
const late = outputTag<View>('late')
const views: readonly View[] = [
  { page: 'a', at: 1_000, seconds: 1 },
  { page: 'b', at: 2_000, seconds: 2 },
  { page: 'a', at: 61_000, seconds: 4 },
  { page: 'a', at: 59_000, seconds: 8 }, // Late, but allowed: its window fires once more.
  { page: 'b', at: 200_000, seconds: 16 },
  { page: 'a', at: 3_000, seconds: 32 }, // Too late.
]
const env = StreamExecutionEnvironment.getExecutionEnvironment()
const perMinute = env
  .fromData(views, { uid: 'views', watermarks: { timestamp: 'at', generator: () => ({ onEvent: (_view, timestamp) => timestamp }) } })
  .keyBy('page')
  .window(windows.tumbling('1 min'), { allowedLateness: '30 s', sideOutputLateData: late })
  .sum('seconds', 'per-minute')
perMinute.print('minute')
perMinute
  .getSideOutput(late)
  .map((v) => `${v.page} at ${v.at}`)
  .print('late')
await env.execute('page views')
