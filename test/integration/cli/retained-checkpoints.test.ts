/** A job is cancelled, forgotten but for its checkpoints, and goes on as another one: processes, the command line, exactly once. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import type { CheckpointsResponse } from '#protocol/rest/responses.js'
import type { RetainedCheckpointItem, RetainedCheckpointsResponse } from '#protocol/rest/retained-checkpoints.js'
import type { FsckResponse } from '#protocol/rest/storage-check.js'
import { committedLines, mistakesOf, NO_MISTAKES } from '../../support/numbered-counts.js'
import { ProcessCluster } from '../../support/process-cluster.js'

const KEYS = 10
const COUNTS = 'test/integration/cli/programs/steady-counts.ts'

test.serial('a cancelled job goes on as another one after its entry has expired; then its checkpoints are disposed of', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'flott-retained-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  // Each job that ends takes the entry of the one before with it.
  const cluster = await ProcessCluster.start({ jobManagers: 1, taskManagers: 1, slots: 2, settings: { 'jobstore.max-capacity': '1' } })
  t.teardown(() => cluster.stop())
  const [stop, output] = [join(directory, 'stop'), join(directory, 'counts')]
  const ok = async (...args: string[]) => {
    const { code, stdout, stderr } = await cluster.flott(args)
    if (code !== 0) throw new Error(`flott ${args.join(' ')}: ${code}\n${stderr}${cluster.logs()}`)
    return stdout
  }
  const json = async <T>(...args: string[]) => JSON.parse(await ok(...args)) as T
  const retained = async () => (await cluster.rest<RetainedCheckpointsResponse>('/flott/checkpoints')).checkpoints
  const checkpointsOf = (jobId: string) => cluster.rest<CheckpointsResponse>(`/jobs/${jobId}/checkpoints`)
  const start = async (...options: string[]) => {
    const { jobId } = await json<{ jobId: string }>('run', '-d', '--json', ...options, COUNTS, String(KEYS), stop, output)
    await cluster.until('checkpoints are complete', async () => (await checkpointsOf(jobId)).counts.completed > 3)
    return jobId
  }

  const first = await start('-p', '1')
  const completed = (await checkpointsOf(first)).latest.completed
  t.is(completed?.external_path, `flott:/${first}/chk-${completed?.id}`)
  await ok('cancel', first)
  const left = await json<RetainedCheckpointItem[]>('list', '--retained', '--json')
  t.deepEqual([left.length, new Set(left.map((checkpoint) => checkpoint['job-id']))], [3, new Set([first])])
  await ok('run', 'test/integration/cli/programs/squares.ts', '10')
  t.false((await cluster.jobs()).some(({ jid }) => jid === first))
  const [jobManager] = cluster.jobManagers
  await jobManager!.kill('SIGKILL')
  await jobManager!.start()
  t.deepEqual(await retained(), left)

  const unknown = await cluster.flott(['run', '-s', `flott:/${first}/chk-999`, COUNTS])
  t.is(unknown.code, 6)
  t.true(unknown.stderr.includes(left[0]!.external_path), unknown.stderr)
  const second = await start('-p', '2', '-s', first)
  t.is((await checkpointsOf(second)).latest.restored?.external_path, left[0]!.external_path)
  const disposed = left.toReversed().map((checkpoint) => `Disposed of ${checkpoint.external_path}.\n`)
  t.is(await ok('savepoint', '-d', first), disposed.join(''))
  t.deepEqual(await retained(), [])
  const { healthy, disks } = await cluster.rest<FsckResponse>('/flott/fsck')
  const isLeft = ({ blob }: { blob: string }) => left.some(({ id }) => blob.startsWith(`manifest/${first}/${id}-`))
  t.deepEqual([healthy, disks[0]!.orphans.filter(isLeft)], [true, []])

  writeFileSync(stop, '')
  await cluster.until('the job ends', async () => (await cluster.job(second)).state === 'FINISHED')
  const lines = committedLines(output)
  t.true(lines.length > 0)
  t.deepEqual(mistakesOf(lines, lines.length, KEYS), NO_MISTAKES)
})
