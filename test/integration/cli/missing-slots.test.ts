/** A job that needs more slots than there are waits and says what for; it fails when it has waited long enough, or runs when a TaskManager comes. */
import test from 'ava'
import { ProcessCluster } from '../../support/process-cluster.js'

const MISBEHAVES = 'test/integration/cli/programs/misbehaves.ts'
const SQUARES = 'test/integration/cli/programs/squares.ts'
const WAITS = /needs 1 slot of group default, 0 are free/
let cluster: ProcessCluster

test.before(async () => {
  cluster = await ProcessCluster.start({ jobManagers: 1, taskManagers: 2, slots: 1 })
  await cluster.taskManagers[1]!.kill('SIGTERM')
  await cluster.until('one TaskManager is left', async () => (await cluster.overview()).taskmanagers === 1)
})
test.after.always(() => cluster?.stop())

test.serial('slot.request.timeout: the job fails with NO_RESOURCE_AVAILABLE and the reason', async (t) => {
  const { code, stderr } = await cluster.flott(['run', '-p', '2', '-D', 'slot.request.timeout=500 ms', SQUARES])
  t.is(code, 3, stderr)
  t.regex(stderr, /NO_RESOURCE_AVAILABLE/)
  t.regex(stderr, WAITS)
  t.regex(stderr, /waited 500 ms \(slot\.request\.timeout\)/)
})

test.serial('list, status and REST say what is missing; another TaskManager lets the job run', async (t) => {
  const run = cluster.startFlott(['run', '-p', '2', MISBEHAVES, 'runs-on'])
  const job = await cluster.until('the job waits', async () => (await cluster.jobs()).find((item) => item['waiting-for'] !== undefined))
  t.regex(job['waiting-for']!, WAITS)
  t.regex((await cluster.job(job.jid))['waiting-for']!, WAITS)
  t.regex((await cluster.flott(['list', '-a'])).stdout, new RegExp(`${job.jid} .*waits: needs 1 slot`))
  t.regex((await cluster.flott(['status', job.jid])).stdout, WAITS)
  await cluster.taskManagers[1]!.start()
  await cluster.until('it runs', async () => (await cluster.job(job.jid))['status-counts'].RUNNING === 2)
  t.is((await cluster.job(job.jid))['waiting-for'], undefined)
  t.is((await cluster.flott(['cancel', job.jid])).code, 0)
  const { code, stderr } = await run.result
  t.is(code, 4)
  t.regex(stderr, WAITS)
})
