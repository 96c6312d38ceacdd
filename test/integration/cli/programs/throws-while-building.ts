import { StreamExecutionEnvironment } from 'flott'

interface Feed {
  readonly topic?: { readonly name: string }
}
function nameOf(feed: Feed): string {
  return feed.topic!.name // The line that the stack must name: 7.
}
const env = StreamExecutionEnvironment.getExecutionEnvironment()
env.fromSequence(1, 9, nameOf({})).print()
await env.execute('never gets here')
