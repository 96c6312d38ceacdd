/** A TaskManager as start-task-manager.ts composes it, over simulated network and ZooKeeper, with its slot workers in this thread. */
import { HighestEpoch } from '#core/epoch.js'
import { ZooKeeperLeaderRetrieval } from '#ha/zookeeper/zookeeper-leader-retrieval.js'
import type { LeaderRetrieval } from '#protocol/ha/leadership.js'
import type { RpcNetwork } from '#rpc/rpc.js'
import { ChannelNetworkEnvironment } from '#taskmanager/network/channel-network-environment.js'
import { TaskExecutor } from '#taskmanager/task-executor.js'
import { MemoryChunkFiles } from '../support/memory-chunk-files.js'
import { CarelessEpoch } from './careless-leader.js'
import { unnumbered } from './careless-transport.js'
import { InPlaceSlotWorkerHost } from './in-place-workers.js'
import { ProcessClock } from './process-clock.js'
import { watchedEndpoints } from './watched-endpoints.js'
import { loggerOf, type SimulatedProcess, type World, ZOOKEEPER_RETRY_MS } from './world.js'

export interface SimulatedTaskManagerOptions {
  readonly name: string
  readonly incarnation: number
  readonly slots: number
  /** The start has failed: the process ends. */
  onFailed(error: unknown): void
  /** An operator wants it gone. */
  onDrainRequested(): void
}

export function startSimulatedTaskManager(world: World, options: SimulatedTaskManagerOptions): SimulatedProcess {
  const { name, incarnation } = options
  const clock = new ProcessClock(world.time)
  const process: SimulatedProcess = {
    name,
    kind: 'taskmanager',
    address: `${name}:6122`,
    zookeeperName: `${name}#${incarnation}`,
    clock,
    async stop(patient) {
      await (await booting)(patient)
    },
  }
  const booting = boot(world, options, process)
  booting.catch((error: unknown) => options.onFailed(error))
  return process
}

/** Returns what stops it. */
async function boot(
  world: World,
  options: SimulatedTaskManagerOptions,
  self: SimulatedProcess,
): Promise<(patient: boolean) => Promise<void>> {
  const { name, slots, onDrainRequested } = options
  const { random, timing, broken } = world
  const { address, clock, zookeeperName } = self
  const logger = loggerOf(world, name)
  const process = world.network.process(address, broken.has('skip-epoch-check') ? new CarelessEpoch() : new HighestEpoch(), clock)
  const retrieval = new ZooKeeperLeaderRetrieval({
    zookeeper: world.zookeeper.client(zookeeperName),
    paths: world.paths,
    clock,
    logger,
    retryWaitMs: ZOOKEEPER_RETRY_MS,
  })
  const transport = world.dataPorts.transport(process)
  const network = new ChannelNetworkEnvironment({
    transport: broken.has('ignore-sequence-numbers') ? unnumbered(transport) : transport,
    oneThread: true,
    taskManagerId: name,
    clock,
    logger,
  })
  const rpc: RpcNetwork = {
    dial: (to, dialling) => process.dial(to, dialling),
    endpoints: watchedEndpoints(process.endpoints, (epoch) => world.invariants.takesCall(zookeeperName, epoch)),
    seen: process.seen,
  }
  const blobs = process.blobTransfer()
  const files = new MemoryChunkFiles()
  world.localCopies.set(name, files)
  const taskExecutor = new TaskExecutor({
    taskManagerId: name,
    host: name,
    dataPort: await network.start(name, 0),
    slotCount: slots,
    managedBytes: 1e9,
    version: 'simulated',
    hardware: { cpuCores: 1, physicalMemoryBytes: 1e9, freeMemoryBytes: 1e9, cpuModel: 'simulated', os: 'simulated' },
    logLevel: 'info',
    leaderlessTimeoutMs: timing.leaderlessTimeoutMs,
    watchdogMs: 0,
    cancellationTimeoutMs: 30_000,
    drainTimeoutMs: 10_000,
    onDrainRequested,
    ring: { slotBytes: 4096, slots: 4 },
    keepSpareWorker: false,
    clock,
    random,
    logger,
    rpc,
    retrieval: world.marksGivenUp ? retrieval : withoutMarks(retrieval),
    network,
    workerHost: new InPlaceSlotWorkerHost(world, clock),
    blobs: {
      put: (to, blob, content, epoch) => blobs.put(to, blob, content, epoch),
      read: (from, blob) => blobs.read(from, blob),
      get: (from, blob) => {
        world.note(name, 'fetches', { blob })
        return blobs.get(from, blob)
      },
    },
    localBackup: { files, maxBytes: 1e9 },
    processMetrics: () => ({ rssBytes: 0, heapUsedBytes: 0, cpuSeconds: 0 }),
    print: (line) => world.note(name, line),
  })
  await retrieval.start()
  await taskExecutor.start()
  return async (patient) => {
    await taskExecutor.depart(patient)
    await taskExecutor.stop()
    await retrieval.stop()
  }
}

function withoutMarks(retrieval: ZooKeeperLeaderRetrieval): LeaderRetrieval {
  return {
    get current() {
      return retrieval.current
    },
    get connected() {
      return retrieval.connected
    },
    watch: (onChange) => retrieval.watch(onChange),
    holdRegistration: (process) => retrieval.holdRegistration(process),
    start: () => retrieval.start(),
    stop: () => retrieval.stop(),
  }
}
