/** A checker that sees nothing proves nothing: a cluster that forgets, invents and takes back. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import type { JobOverviewItem } from '#protocol/rest/responses.js'
import { ControlJobs } from './control-jobs.js'

/** Accepts everything, and says what the test wants it to. Jobs that end by themselves do so after 100 rounds. */
function liar(t: ExecutionContext, ending: boolean) {
  const directory = mkdtempSync(join(tmpdir(), 'flott-control-'))
  t.teardown(() => rmSync(directory, { recursive: true }))
  const said: { jid: string; name: string; state: JobOverviewItem['state'] }[] = []
  let ids = 0
  let code = 0
  const cluster = {
    startFlott: () => ({
      process: { kill: () => true },
      result: Promise.resolve({ code, stdout: JSON.stringify({ jobId: `id-${ids++}` }), stderr: 'no' }),
    }),
    jobs: async () => said as unknown as JobOverviewItem[],
  }
  const random = { next: () => (ending ? 0 : 0.99) }
  const control = new ControlJobs(cluster as unknown as ConstructorParameters<typeof ControlJobs>[0], directory, random, () => {})
  const fail = () => {
    code = 1
  }
  return { control, said, directory, fail }
}
const job = (state: JobOverviewItem['state'], jid = 'id-0', name = 'control-0') => ({ jid, name, state })

test('a job that was acknowledged is there, once, and as it was', async (t) => {
  const { control, said } = liar(t, false)
  await control.submit()
  said.push(job('RUNNING'))
  await control.check()
  t.deepEqual(control.violations, [])
  said.push(job('RUNNING', 'id-9'))
  await control.check()
  t.deepEqual(control.violations, ['control-0 is there 2 times: id-0, id-9'])
  said.length = 0
  await control.check()
  t.is(control.violations[1], 'control-0 (id-0) was submitted, and is not there')
})

test('what nobody asked for, and what was taken back', async (t) => {
  for (const state of ['CANCELED', 'FAILED', 'FINISHED'] as const) {
    const { control, said } = liar(t, false)
    await control.submit()
    said.push(job(state))
    await control.check()
    t.deepEqual(control.violations, [`control-0 (id-0) is ${state}, which nobody asked for`])
  }
  const { control, said } = liar(t, false)
  await control.submit()
  await control.cancel(control.jobs[0]!)
  said.push(job('CANCELED'))
  await control.check()
  t.deepEqual(control.violations, [])
  said[0] = job('RUNNING')
  await control.check()
  t.deepEqual(control.violations, ['control-0 (id-0) was CANCELED, and is RUNNING', 'control-0 (id-0) was cancelled, and is RUNNING'])
})

test('a submission that failed may have happened: what was shown once stays', async (t) => {
  const { control, said, fail } = liar(t, false)
  fail()
  await control.submit()
  await control.check()
  said.push(job('RUNNING', 'id-5'))
  await control.check()
  t.deepEqual(control.violations, [])
  said.length = 0
  await control.check()
  t.deepEqual(control.violations, ['control-0 (id-5) was submitted, and is not there'])
})

test('the output of a job that has ended is compared', async (t) => {
  const { control, said, directory } = liar(t, true)
  await control.submit()
  mkdirSync(join(directory, 'control-0', 'out'))
  writeFileSync(join(directory, 'control-0', 'out', 'part'), '0 1\n1 1\n2 1\n1 1\n')
  said.push(job('FINISHED'))
  await control.check()
  t.is(control.violations[0], "output of control-0 (id-0): '1 1' is there 2 times, at last in part")
  t.is(control.violations[1], "output of control-0 (id-0): '0 2' is missing")
})
