/** The TaskManager process: configuration -> services -> run until SIGTERM. */
import { readFileSync, writeFileSync } from 'node:fs'
import { hostname, tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { systemClock } from '#core/clock.js'
import { parseDaemonArguments } from '#core/config/daemon-arguments.js'
import { loadConfig } from '#core/config/load-config.js'
import type { Config } from '#core/config/options.js'
import { FlottError, isFlottError } from '#core/errors.js'
import { randomId } from '#core/ids.js'
import { createLogger, type Logger } from '#core/logger.js'
import { systemRandom } from '#core/random.js'
import { NativeZooKeeper } from '#ha/zookeeper/native-zookeeper.js'
import { ClusterPaths } from '#ha/zookeeper/zookeeper.js'
import { ZooKeeperLeaderRetrieval } from '#ha/zookeeper/zookeeper-leader-retrieval.js'
import { describeHardware } from '#metrics/hardware.js'
import { processUsage } from '#metrics/process-metrics.js'
import type { LeaderRetrieval } from '#protocol/ha/leadership.js'
import { HttpBlobTransfer } from '#rpc/blob-transfer.js'
import { InternalEndpoint } from '#rpc/internal-endpoint.js'
import { AskedLeaderRetrieval } from '#rpc/leader-info.js'
import { WsRpcNetwork } from '#rpc/ws-network.js'
import { JobArtifacts } from './job-artifacts.js'
import { TcpNetworkEnvironment } from './network/tcp-network-environment.js'
import { ThreadSlotWorkerHost } from './slotworker/slot-worker-host.js'
import { TaskExecutor } from './task-executor.js'

const INSTALLATION = fileURLToPath(new URL('../../../', import.meta.url))
const EXIT_CONFIGURATION = 78
const RETRIEVAL_RETRY_MS = 500

async function run(config: Config, logger: Logger): Promise<() => Promise<void>> {
  const clock = systemClock
  const random = systemRandom
  const taskManagerId = config['taskmanager.resource-id'] || `tm-${randomId(random)}`
  const bindHost = config['taskmanager.bind-host']
  const host = config['taskmanager.host'] || (bindHost === 'localhost' || bindHost === '127.0.0.1' ? bindHost : hostname())

  const endpoint = new InternalEndpoint()
  const rpc = new WsRpcNetwork({ clock, logger })
  rpc.attach(endpoint)
  const rpcPorts = config['taskmanager.rpc.port']
  const rpcPort = await endpoint.start(bindHost, rpcPorts.from, rpcPorts.to)
  const network = new TcpNetworkEnvironment({ taskManagerId, clock, logger })
  const dataPort = await network.start(bindHost, config['taskmanager.data.port'])
  const retrieval = leaderRetrieval(config, logger)
  const blobs = new HttpBlobTransfer({ clock })
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
    artifacts: (leaderAddress) => new JobArtifacts({ blobs, leaderAddress, directory, installation: INSTALLATION, logger }),
    processMetrics: processUsage,
    print: (line) => process.stdout.write(`${line}\n`),
    onRegistered: () => becomeReady(`${taskManagerId}, data port ${host}:${dataPort}`),
  })
  await retrieval.start()
  await taskExecutor.start()
  logger.info('TaskManager started', { taskManager: taskManagerId, host, dataPort, rpcPort })
  return async () => {
    await taskExecutor.stop()
    await retrieval.stop()
    await network.stop()
    blobs.stop()
    rpc.stop()
    await endpoint.stop()
  }
}

function leaderRetrieval(config: Config, logger: Logger): LeaderRetrieval {
  const clock = systemClock
  if (config['high-availability.type'] === 'none') {
    const address = `${config['jobmanager.rpc.address']}:${config['jobmanager.rpc.port'].from}`
    return new AskedLeaderRetrieval({ address, clock, logger })
  }
  const authorization = config['high-availability.zookeeper.client.authorization']
  const zookeeper = new NativeZooKeeper(
    {
      quorum: config['high-availability.zookeeper.quorum'].join(','),
      sessionTimeoutMs: config['high-availability.zookeeper.client.session-timeout'],
      connectionTimeoutMs: config['high-availability.zookeeper.client.connection-timeout'],
      acl: config['high-availability.zookeeper.client.acl'],
      ...(authorization === '' ? {} : { authorization: [{ scheme: 'digest', auth: authorization }] }),
    },
    { clock, random: systemRandom, logger },
  )
  const paths = new ClusterPaths(config['high-availability.cluster-id'], config['high-availability.zookeeper.path.root'])
  return new ZooKeeperLeaderRetrieval({ zookeeper, paths, clock, logger, retryWaitMs: RETRIEVAL_RETRY_MS })
}

function installedVersion(): string {
  return (JSON.parse(readFileSync(join(INSTALLATION, 'package.json'), 'utf8')) as { version: string }).version
}

/** For who started the daemon: one line, once it can be used. */
function becomeReady(line: string): void {
  const file = process.env['FLOTT_READY_FILE']
  if (file) writeFileSync(file, `${line}\n`)
}

function powerOfTwoFrom(count: number): number {
  return 2 ** Math.ceil(Math.log2(count))
}

/** V8 would ignore the limits of the slot workers. */
function refuseHeapFlags(): void {
  const flags = [...process.execArgv, process.env['NODE_OPTIONS'] ?? '', process.env['FLOTT_NODE_OPTIONS'] ?? ''].join(' ')
  if (/--max[-_]old[-_]space[-_]size/.test(flags))
    throw new FlottError(
      'INVALID_CONFIG',
      '--max-old-space-size switches the memory limits of slots off: set taskmanager.memory.managed.size instead',
    )
}

async function main(): Promise<void> {
  let logger = createLogger({ level: 'info' })
  try {
    refuseHeapFlags()
    const { confDir, dynamic } = parseDaemonArguments(process.argv.slice(2))
    const { config } = loadConfig({ ...(confDir === undefined ? {} : { confDir: resolve(confDir) }), env: process.env, dynamic })
    logger = createLogger({ level: config['env.log.level'] })
    const stop = await run(config, logger)
    let stopping = false
    const end = (signal: NodeJS.Signals) => {
      if (stopping) return
      stopping = true
      logger.info('TaskManager stops', { signal })
      stop().then(
        () => process.exit(0),
        (error: unknown) => {
          logger.error('stopping failed', { error })
          process.exit(1)
        },
      )
    }
    process.on('SIGTERM', end)
    process.on('SIGINT', end)
  } catch (error) {
    logger.error('TaskManager can not start', { error })
    process.exit(isFlottError(error, 'INVALID_CONFIG') ? EXIT_CONFIGURATION : 1)
  }
}

void main()
