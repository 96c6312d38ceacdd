/** Seconds per page and minute; what comes too late goes to a side output. `windows VIEWS_DIRECTORY` */
import { fileSource, formats, type Infer, outputTag, StreamExecutionEnvironment, types, windows } from 'flott'

const view = types.row({ page: types.string, user: types.string, at: types.timestamp, seconds: types.number })
const late = outputTag<Infer<typeof view>>('late')

const [directory = 'views/'] = process.argv.slice(2)
const env = StreamExecutionEnvironment.getExecutionEnvironment({ 'execution.checkpointing.interval': '10 s' })
const perMinute = env
  .fromSource(fileSource(directory, formats.json(view)), { uid: 'views', watermarks: { timestamp: 'at', maxOutOfOrderness: '10 s' } })
  .keyBy('page')
  .window(windows.tumbling('1 min'), { allowedLateness: '30 s', sideOutputLateData: late })
  .sum('seconds', 'per-minute')
perMinute.print('minute')
perMinute
  .getSideOutput(late)
  .map((v) => `${v.page} at ${v.at}`)
  .print('late')
await env.execute('page views')
