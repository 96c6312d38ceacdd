/** A script that submits the job of another module: `silences BEATS_DIRECTORY SILENCES_DIRECTORY`, until the first silence is reported. */
import { existsSync, readdirSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import { StreamExecutionEnvironment } from 'flott'
import silence from '../../../client/examples/silence.js'

const [beats = '', silences = ''] = process.argv.slice(2)
const env = StreamExecutionEnvironment.getExecutionEnvironment({ 'execution.checkpointing.interval': '200 ms' })
const job = await env.executeAsync(silence({ timeout: '1 min', beats, silences }))
const committed = () => existsSync(silences) && readdirSync(silences).some((name) => !name.startsWith('.'))
while ((await job.getJobStatus()) !== 'FAILED' && !committed()) await setTimeout(50)
await job.cancel()
for await (const status of job.jobStatusChanges()) console.log(status)
