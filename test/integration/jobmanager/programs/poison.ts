/** A job that ends every JobManager that starts its enumerator, as long as the file POISON exists. usage: poison POISON */
import { existsSync } from 'node:fs'
import { discardSink, fetchingReader, type Source, StreamExecutionEnvironment } from 'flott'

const [poison = ''] = process.argv.slice(2)

const source: Source<number, { readonly splitId: string }, undefined> = {
  boundedness: 'bounded',
  createReader: (ctx) => fetchingReader(ctx, async () => ({ records: [1], next: null })),
  createEnumerator(ctx) {
    return {
      start() {
        if (existsSync(poison)) process.kill(process.pid, 'SIGKILL')
        ctx.assignSplit({ splitId: 'one' })
        ctx.signalNoMoreSplits()
      },
      addReader: (reader) => ctx.signalNoMoreSplits(reader),
      addSplitsBack: (splits) => {
        for (const split of splits) ctx.assignSplit(split)
      },
      snapshotState: () => undefined,
    }
  },
}
const env = StreamExecutionEnvironment.getExecutionEnvironment()
env.fromSource(source, 'poison').sinkTo(discardSink())
await env.execute('poison')
