import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { crc32 } from 'node:zlib'
import test from 'ava'
import { graphOfProgram } from '#client/submit/program-runner.js'
import { systemClock } from '#core/clock.js'
import { attemptIdOf } from '#core/ids.js'
import { silentLogger } from '#core/logger.js'
import { jobMasterGateway, type TaskExecutionReport } from '#protocol/gateways/job-master-gateway.js'
import { resourceManagerGateway, type TaskManagerRegistration } from '#protocol/gateways/resource-manager-gateway.js'
import { type TaskExecutorGateway, taskExecutorGateway } from '#protocol/gateways/task-executor-gateway.js'
import type { AttemptLocation } from '#protocol/graph/deployment.js'
import { encodeDeployment } from '#protocol/graph/deployment-format.js'
import { encodeJobGraph } from '#protocol/graph/job-graph-format.js'
import type { BlobInfo, BlobStore } from '#protocol/ha/blobs.js'
import type { LeaderInfo } from '#protocol/ha/facts.js'
import { BlobServer } from '#rpc/blob-server.js'
import { InternalEndpoint } from '#rpc/internal-endpoint.js'
import { serveLeaderInfo } from '#rpc/leader-info.js'
import { WsRpcNetwork } from '#rpc/ws-network.js'

const main = fileURLToPath(new URL('../../../daemon/taskmanager/main.js', import.meta.url))
const program = fileURLToPath(new URL('../../../../test/fixtures/programs/keyed-sums.ts', import.meta.url))
const epoch = { incarnation: 0, czxid: '0000000000000001' }

interface Registered {
  readonly registration: TaskManagerRegistration
  readonly gateway: TaskExecutorGateway
}

/** One blob, the artifact. */
function storeOf(name: string, content: Uint8Array): BlobStore {
  const info: BlobInfo = { name, bytes: content.length, crc32: crc32(content) }
  return {
    put: async () => info,
    get: async () => content,
    async *read() {
      yield content
    },
    info: async (wanted) => (wanted === name ? info : undefined),
    delete: async () => {},
    async *list() {},
  }
}

test('two TaskManager processes run a job whose records cross between them', async (t) => {
  const { jobGraph, artifact } = await graphOfProgram({ file: program, args: [] })
  const { jobId } = jobGraph
  const endpoint = new InternalEndpoint()
  const rpc = new WsRpcNetwork({ clock: systemClock, logger: silentLogger })
  rpc.attach(endpoint)
  new BlobServer({ store: () => storeOf(jobGraph.artifact!, artifact), seen: rpc.seen, logger: silentLogger }).attach(endpoint)
  let leader: LeaderInfo | undefined
  serveLeaderInfo(endpoint, () => leader)
  const port = await endpoint.start('127.0.0.1', 0)
  leader = { jobManagerId: 'jm', rpcAddress: `127.0.0.1:${port}`, restUrl: '', epoch }

  const taskManagers = new Map<string, Registered>()
  let ended: (reports: TaskExecutionReport[]) => void = () => {}
  const over = new Promise<TaskExecutionReport[]>((resolve) => {
    ended = resolve
  })
  const terminal: TaskExecutionReport[] = []
  const attempts: AttemptLocation[] = []
  const accepted = { accepted: true } as const

  const deploy = async () => {
    const hosts = [...taskManagers.values()].sort((a, b) => (a.registration.taskManagerId < b.registration.taskManagerId ? -1 : 1))
    for (const vertex of jobGraph.vertices)
      for (let subtaskIndex = 0; subtaskIndex < vertex.parallelism; subtaskIndex++) {
        const { taskManagerId, host, dataPort } = hosts[subtaskIndex]!.registration
        const attemptId = attemptIdOf(jobGraph.jobId, vertex.id, subtaskIndex, 1)
        attempts.push({
          vertexId: vertex.id,
          subtaskIndex,
          attemptNumber: 1,
          attemptId,
          taskManagerId,
          slotIndex: 0,
          allocationId: taskManagerId,
          dataHost: host,
          dataPort,
        })
      }
    for (const { registration, gateway } of hosts)
      await gateway.requestSlot({ slotIndex: 0, allocationId: registration.taskManagerId, jobId })
    for (const { registration, gateway } of hosts) {
      const tasks = attempts.filter((a) => a.taskManagerId === registration.taskManagerId)
      const deployment = encodeDeployment({ jobId, deploymentNumber: 1, epoch, attempts })
      await gateway.submitTasks({ jobId, jobGraph: encodeJobGraph(jobGraph), deployment, tasks })
    }
  }
  rpc.endpoints.register(resourceManagerGateway, {
    registerTaskManager: async (registration, { connection }) => {
      const gateway = connection.gateway(taskExecutorGateway, { epoch: () => epoch })
      taskManagers.set(registration.taskManagerId, { registration, gateway })
      if (taskManagers.size === 2) systemClock.defer(() => void deploy().catch((error: unknown) => t.fail(String(error))))
      return { clusterUuid: 'uuid', heartbeatIntervalMs: 60_000, heartbeatTimeoutMs: 300_000 }
    },
    reportSlots: async () => accepted,
    drainTaskManager: async () => ({ slots: 0, moving: false, missing: [] }),
    disconnectTaskManager: async () => accepted,
  })
  rpc.endpoints.register(
    jobMasterGateway,
    {
      updateTaskExecutionStates: async ({ reports }) => {
        terminal.push(...reports.filter(({ state }) => ['FINISHED', 'FAILED', 'CANCELED'].includes(state)))
        if (terminal.length === attempts.length || terminal.some(({ state }) => state === 'FAILED')) ended(terminal)
        return accepted
      },
      sendReaderEvent: async ({ attemptId, operatorId, reader, event }) => {
        if (event.kind !== 'reader-registered') return accepted
        const { taskManagerId } = attempts.find((a) => a.attemptId === attemptId)!
        const splits = [{ splitId: `range-${reader}`, next: 10_000 * reader + 1, step: 1, last: 10_000 * (reader + 1) }]
        const events = [
          { number: 1, event: { kind: 'splits-assigned' as const, splits } },
          { number: 2, event: { kind: 'no-more-splits' as const } },
        ]
        await taskManagers.get(taskManagerId)!.gateway.sendOperatorEvents({ jobId, attemptId, operatorId, events })
        return accepted
      },
      acknowledgeCheckpoint: async () => accepted,
      declineCheckpoint: async () => accepted,
      sendCollected: async () => accepted,
      awaitFinalCheckpoint: async () => accepted,
    },
    jobId,
  )

  const directory = mkdtempSync(join(tmpdir(), 'flott-test-'))
  const confDir = mkdtempSync(join(tmpdir(), 'flott-conf-'))
  writeFileSync(join(confDir, 'config.yaml'), '')
  t.teardown(() => {
    for (const made of [directory, confDir]) rmSync(made, { recursive: true })
  })
  const { NODE_OPTIONS: _, ...env } = process.env
  const settings = [`jobmanager.rpc.address=127.0.0.1`, `jobmanager.rpc.port=${port}`, `io.tmp.dirs=${directory}`]
  let printed = ''
  let log = ''
  const children: ChildProcess[] = ['tm-a', 'tm-b'].map((id) => {
    const args = [main, '--configDir', confDir, ...[...settings, `taskmanager.resource-id=${id}`].flatMap((setting) => ['-D', setting])]
    const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'pipe'] })
    child.stdout.on('data', (bytes: Buffer) => {
      printed += bytes.toString()
    })
    child.stderr.on('data', (bytes: Buffer) => {
      log += bytes.toString()
    })
    return child
  })
  const exits = children.map((child) => new Promise<number | null>((resolve) => child.on('close', resolve)))
  try {
    const exited = Promise.all(exits).then((codes): never => {
      throw new Error(`the TaskManagers ended with ${codes}: ${log}`)
    })
    const reports = await Promise.race([over, exited])
    t.true(
      reports.every(({ state }) => state === 'FINISHED'),
      `${JSON.stringify(reports)}\n${log}`,
    )
    for (const { registration, gateway } of taskManagers.values())
      await gateway.freeSlot({ allocationId: registration.taskManagerId, cause: 'the job has ended' })
  } finally {
    for (const child of children) child.kill('SIGTERM')
    t.deepEqual(await Promise.all(exits), [0, 0], log)
    rpc.stop()
    await endpoint.stop()
  }
  const sums = printed
    .trim()
    .split('\n')
    .map((line) => Number(line.replace(/^.*> */, '')))
  t.is(sums.length, 20_000)
  const expected = [0, 0, 0, 0, 0, 0, 0]
  for (let n = 1; n <= 20_000; n++) expected[n % 7]! += n
  for (const sum of expected) t.true(sums.includes(sum), `${sum} of ${expected}`)
  t.deepEqual(readdirSync(directory), [])
})
