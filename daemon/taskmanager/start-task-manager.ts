/** A TaskManager's services, made from the configuration: by its process, and by the mini-cluster. */
import { readFileSync } from 'node:fs'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { systemClock } from '#core/clock.js'
import type { Config } from '#core/config/options.js'
import type { DaemonContext, RunningDaemon } from '#core/daemon-process.js'
import { FlottError } from '#core/errors.js'
import { randomId } from '#core/ids.js'
import type { Logger } from '#core/logger.js'
import { systemRandom } from '#core/random.js'
import { type StartedParts, startInOrder } from '#core/started-parts.js'
import { quorumOf, zookeeperLeaderRetrieval } from '#ha/zookeeper/from-config.js'
import { releaseLeftBehind } from '#ha/zookeeper/release-session.js'
import { sessionFileOf } from '#ha/zookeeper/session-credentials.js'
import { describeHardware } from '#metrics/hardware.js'
import { processUsage } from '#metrics/process-metrics.js'
import { watchThreadMemory } from '#metrics/thread-memory.js'
import type { LeaderRetrieval } from '#protocol/ha/leadership.js'
import { HttpBlobTransfer } from '#rpc/blob-transfer.js'
import { InternalEndpoint } from '#rpc/internal-endpoint.js'
import { AskedLeaderRetrieval } from '#rpc/leader-info.js'
import { WsRpcNetwork } from '#rpc/ws-network.js'
import { JobArtifacts } from './job-artifacts.js'
import { ChunkDirectory } from './localbackup/chunk-directory.js'
import { TcpNetworkEnvironment } from './network/tcp-network-environment.js'
import { ThreadSlotWorkerHost } from './slotworker/slot-worker-host.js'
import { TaskExecutor, type TaskExecutorOptions } from './task-executor.js'

const INSTALLATION = fileURLToPath(new URL('../../../', import.meta.url))

export function startTaskManager(context: DaemonContext): Promise<RunningDaemon> {
  return startInOrder((started) => start(context, started))
}

async function start({ config, lockFile, logger, ready, drain }: DaemonContext, started: StartedParts): Promise<RunningDaemon> {
  const clock = systemClock
  const random = systemRandom
  const taskManagerId = config['taskmanager.resource-id'] || `tm-${randomId(random)}`
  const bindHost = config['taskmanager.bind-host']
  const host = config['taskmanager.host'] || (bindHost === 'localhost' || bindHost === '127.0.0.1' ? bindHost : hostname())

  const endpoint = new InternalEndpoint()
  started.add(() => endpoint.stop())
  const rpc = new WsRpcNetwork({ clock, logger })
  started.add(() => rpc.stop())
  rpc.attach(endpoint)
  const rpcPorts = config['taskmanager.rpc.port']
  const rpcPort = await endpoint.start(bindHost, rpcPorts.from, rpcPorts.to)
  const network = new TcpNetworkEnvironment({ taskManagerId, clock, logger })
  started.add(() => network.stop())
  const dataPort = await network.start(bindHost, config['taskmanager.data.port'])
  const hasSession = lockFile !== undefined && config['high-availability.type'] === 'zookeeper'
  const sessionFile = hasSession ? sessionFileOf(lockFile) : undefined
  const retrieval = leaderRetrieval(config, logger, sessionFile)
  const blobs = new HttpBlobTransfer({ clock })
  started.add(() => blobs.stop())
  const directory = join(config['io.tmp.dirs'] || tmpdir(), `flott-taskmanager-${encodeURIComponent(taskManagerId)}-${process.pid}`)

  const taskExecutor = new TaskExecutor({
    taskManagerId,
    host,
    dataPort,
    slotCount: config['taskmanager.numberOfTaskSlots'],
    managedBytes: config['taskmanager.memory.managed.size'],
    version: installedVersion(),
    hardware: await describeHardware(),
    logLevel: config['env.log.level'],
    leaderlessTimeoutMs: config['taskmanager.leaderless-timeout'],
    watchdogMs: config['task.watchdog.timeout'],
    cancellationTimeoutMs: config['task.cancellation.timeout'],
    drainTimeoutMs: config['taskmanager.drain.timeout'],
    ring: {
      slotBytes: config['taskmanager.memory.segment-size'],
      slots: powerOfTwoFrom(config['taskmanager.network.memory.buffers-per-channel']),
    },
    clock,
    random,
    logger,
    rpc,
    retrieval,
    network,
    workerHost: new ThreadSlotWorkerHost(),
    blobs,
    ...localBackup(config, taskManagerId),
    artifacts: (leaderAddress) => new JobArtifacts({ blobs, clock, leaderAddress, directory, installation: INSTALLATION, logger }),
    processMetrics: processUsage,
    mainMemory: watchThreadMemory(),
    print: (line) => process.stdout.write(`${line}\n`),
    onRegistered: () => ready(`${taskManagerId} is registered; data port ${host}:${dataPort}`),
    onDrainRequested: drain,
  })
  if (sessionFile !== undefined) await releaseLeftBehind(sessionFile, quorumOf(config), { clock, random, logger })
  await started.start(retrieval)
  await started.start(taskExecutor)
  logger.info('TaskManager started', { taskManager: taskManagerId, host, dataPort, rpcPort })
  return { drain: (patient) => taskExecutor.depart(patient), stop: () => started.end() }
}

function localBackup(config: Config, taskManagerId: string): Pick<TaskExecutorOptions, 'localBackup'> {
  if (!config['execution.checkpointing.local-backup.enabled']) return {}
  const parent = config['execution.checkpointing.local-backup.dirs'] || config['io.tmp.dirs'] || tmpdir()
  const maxBytes = config['execution.checkpointing.local-backup.max-size']
  return { localBackup: { files: new ChunkDirectory(parent, { pid: process.pid, taskManagerId }), maxBytes } }
}

function leaderRetrieval(config: Config, logger: Logger, sessionFile: string | undefined): LeaderRetrieval {
  const clock = systemClock
  if (config['high-availability.type'] === 'zookeeper')
    return zookeeperLeaderRetrieval(config, { clock, random: systemRandom, logger }, sessionFile)
  const { from, to } = config['jobmanager.rpc.port']
  if (from === 0 || from !== to)
    throw new FlottError('INVALID_CONFIG', 'jobmanager.rpc.port: without ZooKeeper the JobManager is found there, so it must be one port')
  const address = `${config['jobmanager.rpc.address']}:${from}`
  return new AskedLeaderRetrieval({ address, clock, logger })
}

function installedVersion(): string {
  return (JSON.parse(readFileSync(join(INSTALLATION, 'package.json'), 'utf8')) as { version: string }).version
}

function powerOfTwoFrom(count: number): number {
  return 2 ** Math.ceil(Math.log2(count))
}
