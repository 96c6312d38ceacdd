/** Disks that fill up, are wiped or damaged while a job runs: real processes, a real ZooKeeper. The job lives, and nothing is lost. */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import type { CheckpointsResponse } from '#protocol/rest/responses.js'
import type { FsckResponse, GcResponse } from '#protocol/rest/storage-check.js'
import { decodeBlobKey, decodeBlobValue, encodeBlockKey } from '#storage/keys.js'
import { levelOnDisk, SYNC } from '#storage/level-database.js'
import { committedLines, mistakesOf, NO_MISTAKES } from '../../support/numbered-counts.js'
import { ProcessCluster, type ProcessClusterOptions } from '../../support/process-cluster.js'
import { type SmallDisk, smallDisk } from '../../support/small-disk.js'
import { ZooKeeperServer } from '../../support/zookeeper-server.js'

const KEYS = 10

/** Two JobManagers, one TaskManager, and a job that runs until `finish`. */
async function startJob(t: ExecutionContext, options: Partial<ProcessClusterOptions> = {}) {
  t.timeout(300_000)
  const directory = mkdtempSync(join(tmpdir(), 'flott-disks-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  const zookeeper = await ZooKeeperServer.start()
  t.teardown(() => zookeeper.remove())
  const settings = { 'high-availability.zookeeper.client.session-timeout': '2 s', ...options.settings }
  const cluster = await ProcessCluster.start({
    jobManagers: 2,
    taskManagers: 1,
    slots: 1,
    zookeeper: zookeeper.connect,
    ...options,
    settings,
  })
  t.teardown(() => cluster.stop())
  const [stop, output] = [join(directory, 'stop'), join(directory, 'counts')]
  const job = cluster.startFlott(['run', '-p', '1', 'test/integration/cli/programs/steady-counts.ts', String(KEYS), stop, output])
  const [jobId] = await cluster.until('the job runs', async () => {
    const jobs = await cluster.jobs()
    return jobs.length > 0 && jobs.map(({ jid }) => jid)
  })
  const counts = async () => (await cluster.rest<CheckpointsResponse>(`/jobs/${jobId}/checkpoints`)).counts
  const until = async (what: 'completed' | 'failed', more: number) => {
    const before = (await counts())[what]
    await cluster.until(`${more} more checkpoints ${what}`, async () => (await counts())[what] >= before + more)
  }
  await until('completed', 2)
  return {
    cluster,
    until,
    restarts: async () => (await cluster.rest<{ restarts?: number }>(`/jobs/${jobId}`)).restarts,
    dataOf: (index: number) => join(cluster.directory, `jobmanager-${index}`, 'data'),
    async finish() {
      writeFileSync(stop, '')
      const { code, stderr } = await job.result
      t.is(code, 0, stderr + cluster.logs())
      const lines = committedLines(output)
      t.true(lines.length > 0)
      t.deepEqual(mistakesOf(lines, lines.length, KEYS), NO_MISTAKES)
      return stderr
    },
  }
}
const joinsOf = (log: string) => log.match(/joined the in-sync set/g)?.length ?? 0

for (const type of ['none', 'zookeeper'] as const)
  test.serial(`high-availability.type ${type}: the leader's disk is full, then has room again`, async (t) => {
    const disks = [smallDisk(t, 24), smallDisk(t, 24)]
    if (!disks.every((disk) => disk !== undefined)) return t.pass('mounting is not permitted here')
    const jobManagerSettings = (i: number) => ({ 'jobmanager.data.dir': join((disks[i] as SmallDisk).path, 'data') })
    const alone = { jobManagers: 1, zookeeper: undefined, settings: { 'high-availability.type': 'none' } }
    const job = await startJob(t, type === 'none' ? ({ ...alone, jobManagerSettings } as never) : { jobManagerSettings })
    const leader = await job.cluster.leader()
    const disk = disks[job.cluster.jobManagers.indexOf(leader)] as SmallDisk
    disk.fill()
    if (type === 'zookeeper') await job.until('failed', 3)
    else await job.cluster.until('the disk is full', async () => leader.log.includes('STORAGE_FULL')) // Its facts are there, too, and wait.
    disk.free()
    await job.until('completed', 2)
    t.is((await job.cluster.leader()).pid, leader.pid)
    t.regex(leader.log, /STORAGE_FULL/)
    t.regex(await job.finish(), /restarts: 0\n/)
  })

test.serial('a standby with a full disk leaves the in-sync set, and joins again when it has room', async (t) => {
  const disks = [smallDisk(t, 24), smallDisk(t, 24)]
  if (!disks.every((disk) => disk !== undefined)) return t.pass('mounting is not permitted here')
  const job = await startJob(t, { jobManagerSettings: (i) => ({ 'jobmanager.data.dir': join((disks[i] as SmallDisk).path, 'data') }) })
  const leader = await job.cluster.leader()
  const index = job.cluster.jobManagers.findIndex((jobManager) => jobManager !== leader)
  const standby = job.cluster.jobManagers[index]!
  await job.cluster.until('the standby is in sync', async () => joinsOf(standby.log) > 0)
  const joined = joinsOf(standby.log)
  const disk = disks[index] as SmallDisk
  disk.fill()
  await job.cluster.until('it is out of the set', async () => /"members":\["jm-\d"\],"msg":"in-sync set changed"/.test(leader.log))
  await job.until('completed', 3)
  disk.free()
  await job.cluster.until('it is in sync again', async () => joinsOf(standby.log) > joined)
  await job.until('completed', 1)
  await leader.kill()
  await job.until('completed', 2)
  t.is((await job.cluster.leader()).pid, standby.pid)
  t.regex(await job.finish(), /restarts: 0\n/)
})

test.serial(
  'a data directory that is wiped, then one that is damaged, while its JobManager is down: a new disk, in sync again',
  async (t) => {
    const job = await startJob(t)
    for (const harm of ['wipe', 'damage'] as const) {
      const leader = await job.cluster.leader()
      const index = job.cluster.jobManagers.findIndex((jobManager) => jobManager !== leader)
      const other = job.cluster.jobManagers[index]!
      await other.kill()
      const joined = joinsOf(other.log)
      if (harm === 'wipe') rmSync(job.dataOf(index), { recursive: true })
      else writeFileSync(join(job.dataOf(index), 'level', 'CURRENT'), 'garbage')
      await other.start()
      await job.cluster.until(`it is in sync again after ${harm}`, async () => joinsOf(other.log) > joined)
      if (harm === 'damage') t.true(readdirSync(job.dataOf(index)).some((name) => name.startsWith('level.damaged-')))
      await leader.kill()
      await job.until('completed', 2)
      t.is((await job.cluster.leader()).pid, other.pid, 'what it has fetched is enough to lead')
      await leader.start()
      await job.cluster.until('the former leader is in sync', async () => joinsOf(leader.log) > 0)
    }
    t.regex(await job.finish(), /restarts: 0\n/)
  },
)

test.serial("chunks and a program damaged on the leader's disk come from the standby at a restore", async (t) => {
  const job = await startJob(t)
  const { cluster } = job
  const [first, second] = cluster.jobManagers as [(typeof cluster.jobManagers)[0], (typeof cluster.jobManagers)[0]]
  await cluster.until('both are in sync', async () => joinsOf(first.log) + joinsOf(second.log) > 0)
  await job.until('completed', 1)
  await cluster.taskManagers[0]!.kill()
  await Promise.all([first.kill(), second.kill()])
  const damaged = await damage(join(job.dataOf(0), 'level'))
  t.true(damaged > 0)
  const offline = await Promise.all([0, 1].map((i) => cluster.flott(['fsck', '--data-dir', job.dataOf(i)])))
  t.deepEqual(
    offline.map(({ code, stdout }) => [code, stdout.match(/^CORRUPT (chunk|artifact)\//gm)?.length ?? 0]),
    [
      [1, damaged],
      [0, 0],
    ],
  )
  first.spawn()
  await first.ready()
  const joined = joinsOf(second.log)
  await second.start()
  await cluster.until('the standby is in sync', async () => joinsOf(second.log) > joined)
  t.is((await cluster.leader()).pid, first.pid)
  const checked = await cluster.flott(['fsck', '--json'])
  const { healthy, disks } = JSON.parse(checked.stdout) as FsckResponse
  t.deepEqual([checked.code, healthy], [1, false])
  t.true(disks[0]!.leading && disks[0]!.problems.length > 0 && disks[0]!.problems.every(({ kind }) => kind === 'CORRUPT'))
  t.deepEqual(disks[1]!.problems, [])
  await cluster.taskManagers[0]!.start()
  await job.until('completed', 2)
  for (const kind of ['chunk', 'artifact']) t.regex(first.log, new RegExp(`"${kind}/[^\n]*a bad blob was fetched from another disk`))
  const repaired = await cluster.flott(['fsck', '--repair'])
  t.is(repaired.code, 0, repaired.stdout + repaired.stderr)
  t.is((await cluster.flott(['fsck'])).code, 0)
  const collected = await cluster.flott(['gc', '--dry-run', '--json'])
  t.is(collected.code, 0, collected.stderr)
  t.true((JSON.parse(collected.stdout) as GcResponse)['dry-run'])
  await job.finish()
})

test.serial('every disk of the in-sync set is lost: nobody leads by itself, and says why; flott reset-in-sync decides', async (t) => {
  const job = await startJob(t)
  const { cluster } = job
  const [first, second] = cluster.jobManagers as [(typeof cluster.jobManagers)[0], (typeof cluster.jobManagers)[0]]
  const living = new URL(first.restUrl).host
  const refused = await cluster.flott(['reset-in-sync', '-m', living, '--yes-lose-data'])
  t.is(refused.code, 1)
  t.regex(refused.stderr, /IN_SYNC_MEMBER_LIVES/)
  await Promise.all([first.kill(), second.kill()])
  for (const index of [0, 1]) rmSync(job.dataOf(index), { recursive: true })
  const joined = first.log.length
  first.spawn()
  await cluster.until('it says that it can not lead', async () => first.log.slice(joined).includes('can not lead'))
  const url = /"restUrl":"([^"]+)"/.exec(first.log.slice(joined))![1]!
  const address = new URL(url).host
  const ready = await cluster.until('the leader before is forgotten', async () => {
    const answer = await fetch(`${url}/readyz`)
    return answer.status === 503 && answer
  })
  t.regex(
    ((await ready.json()) as { status: string }).status,
    /^no leader is known: disk .* of jm-0 is not in the in-sync set, which is jm-/,
  )

  const reset = (...more: string[]) =>
    cluster.until('the sessions of the dead have ended', async () => {
      const result = await cluster.flott(['reset-in-sync', '-m', address, ...more])
      return !result.stderr.includes('IN_SYNC_MEMBER_LIVES') && result
    })
  const told = await reset()
  t.is(told.code, 1, told.stderr)
  t.regex(told.stdout, /Of 1 jobs 1 lose what they name, .*fail:\n {2}[0-9a-f]{32} steady counts: 1 blobs/)
  t.regex(told.stdout, /Nothing was changed/)
  t.is((await fetch(`${url}/readyz`)).status, 503)
  const done = await reset('--yes-lose-data')
  t.is(done.code, 0, done.stderr)
  await first.ready()
  t.is((await cluster.leader()).pid, first.pid)
  t.regex((await cluster.rest<{ leader: { epoch: string } }>('/overview')).leader.epoch, /^1:/)
  t.is((await cluster.jobs())[0]!.state, 'FAILED')
  const again = await cluster.flott(['reset-in-sync', '-m', address, '--yes-lose-data'])
  t.is(again.code, 1)
  t.regex(again.stderr, /IN_SYNC_MEMBER_LIVES/)
  const before = joinsOf(second.log)
  await second.start()
  await cluster.until('the other one is in sync', async () => joinsOf(second.log) > before)
})

/** Flips a bit in the first block of each chunk and each program; how many. */
async function damage(level: string): Promise<number> {
  const db = levelOnDisk(level)
  await db.open()
  let damaged = 0
  for await (const [key, value] of db.iterator({ gte: Buffer.of(2), lt: Buffer.of(3) })) {
    if (!/^(chunk|artifact)\//.test(decodeBlobKey(key))) continue
    const block = encodeBlockKey({ serial: decodeBlobValue(value).serial, block: 0 })
    const bytes = Buffer.from((await db.get(block))!)
    bytes[bytes.length - 1]! ^= 1
    await db.put(block, bytes, SYNC)
    damaged++
  }
  await db.close()
  return damaged
}
