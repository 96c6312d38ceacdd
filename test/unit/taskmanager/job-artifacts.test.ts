import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { type ErrorCode, FlottError } from '#core/errors.js'
import { silentLogger } from '#core/logger.js'
import type { JobGraph } from '#protocol/graph/job-graph.js'
import type { BlobTransfer } from '#protocol/ha/blobs.js'
import { JobArtifacts } from '#taskmanager/job-artifacts.js'
import { FakeClock } from '../../support/fake-clock.js'

const GRAPH = { jobId: 'j', artifact: 'artifact/abc' } as JobGraph

/** Leaders that answer with the program, or with an error. */
function underTest(t: ExecutionContext, leaders: Readonly<Record<string, ErrorCode | 'program'>>) {
  const directory = mkdtempSync(join(tmpdir(), 'flott-artifacts-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  const world = { leader: undefined as string | undefined, asked: 0 }
  const blobs = {
    async *read(address: string) {
      world.asked++
      const answer = leaders[address]!
      if (answer !== 'program') throw new FlottError(answer, address)
      yield Buffer.from('export {}')
    },
  } as Partial<BlobTransfer> as BlobTransfer
  const clock = new FakeClock()
  const leaderAddress = () => world.leader
  const artifacts = new JobArtifacts({ blobs, clock, leaderAddress, directory, installation: process.cwd(), logger: silentLogger })
  /** Time passes while it sleeps; files take real time. */
  const turn = async () => {
    if (clock.pending > 0) await clock.advance(1_000)
    await new Promise((next) => setImmediate(next))
  }
  const outcome = async (acquired: Promise<string | undefined>) => {
    let settled: unknown
    const done = (value: unknown) => {
      settled = value
    }
    acquired.then(done, done)
    while (settled === undefined) await turn()
    return settled
  }
  return { world, clock, artifacts, turn, outcome }
}

test('a program waits for a leader, and outlives one that dies', async (t) => {
  const { world, clock, artifacts, turn, outcome } = underTest(t, { dead: 'CONNECTION_REFUSED', next: 'program' })
  const acquired = artifacts.acquire(GRAPH)
  await clock.advance(10_000)
  world.leader = 'dead'
  while (world.asked < 3) await turn()
  world.leader = 'next'
  const directory = (await outcome(acquired)) as string
  t.is(readFileSync(join(directory, 'artifact.mjs'), 'utf8'), 'export {}')
  t.is(await artifacts.acquire(GRAPH), directory)
  await artifacts.release('j')
  t.false(existsSync(directory))
})

test('a program that is not there fails at once, and one that nobody gives after a while', async (t) => {
  const { world, clock, artifacts, outcome } = underTest(t, { a: 'BLOB_NOT_FOUND', b: 'CONNECTION_LOST' })
  world.leader = 'a'
  t.like(await outcome(artifacts.acquire(GRAPH)), { code: 'BLOB_NOT_FOUND' })
  t.is(world.asked, 1)
  world.leader = 'b'
  const before = clock.monotonicMs()
  t.like(await outcome(artifacts.acquire(GRAPH)), { code: 'CONNECTION_LOST' })
  t.true(clock.monotonicMs() - before >= 60_000)
})

test('a job that leaves meanwhile waits no longer', async (t) => {
  const { artifacts, clock, outcome } = underTest(t, {})
  const acquired = artifacts.acquire(GRAPH)
  await clock.advance(1_000)
  const released = artifacts.release('j')
  t.like(await outcome(acquired), { code: 'SHUTTING_DOWN' })
  await released
  t.is(clock.pending, 0)
})
