/** A sink of the program's own: a file a checkpoint and subtask, renamed once the checkpoint is complete. `json-lines-sink COUNT DIRECTORY` */
import { access, rename, writeFile } from 'node:fs/promises'
import { type CommitRequest, generatorSource, type RuntimeContext, StreamExecutionEnvironment, type TwoPhaseSink } from 'flott'

interface Pending {
  from: string
  to: string
}
export class JsonLinesSink<T> implements TwoPhaseSink<T, Pending> {
  constructor(private readonly dir: string) {}
  createWriter({ taskInfo }: RuntimeContext) {
    let lines = ''
    return {
      write: (record: T) => {
        lines += `${JSON.stringify(record)}\n`
      },
      flush: () => {},
      prepareCommit: async (checkpointId: number) => {
        if (lines === '') return []
        const name = `part-${taskInfo.indexOfThisSubtask}-${taskInfo.attemptNumber}-${checkpointId}`
        const [from, to, data] = [`${this.dir}/.${name}`, `${this.dir}/${name}`, lines]
        lines = '' // Before the await: what is written meanwhile belongs to the next checkpoint.
        await writeFile(from, data, { flush: true })
        return [{ from, to }]
      },
    }
  }
  createCommitter() {
    const commit = (request: CommitRequest<Pending>) =>
      rename(request.committable.from, request.committable.to).catch(() =>
        access(request.committable.to).then(
          () => request.signalAlreadyCommitted(),
          () => request.retryLater(),
        ),
      )
    return {
      commit: async (requests: readonly CommitRequest<Pending>[]) => {
        await Promise.all(requests.map(commit))
      },
    }
  }
}

const [count, directory = ''] = process.argv.slice(2)
const env = StreamExecutionEnvironment.getExecutionEnvironment({ 'parallelism.default': 2, 'execution.checkpointing.interval': 100 })
env
  .fromSource(
    generatorSource((i) => ({ i }), { count: Number(count), ratePerSecond: 500 }),
    'numbers',
  )
  .rebalance()
  .sinkTo(new JsonLinesSink(directory), 'lines')
await env.execute('own sink')
