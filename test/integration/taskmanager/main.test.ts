import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import test from 'ava'
import { systemClock } from '#core/clock.js'
import { silentLogger } from '#core/logger.js'
import { resourceManagerGateway, type TaskManagerRegistration } from '#protocol/gateways/resource-manager-gateway.js'
import type { LeaderInfo } from '#protocol/ha/facts.js'
import { InternalEndpoint } from '#rpc/internal-endpoint.js'
import { serveLeaderInfo } from '#rpc/leader-info.js'
import { WsRpcNetwork } from '#rpc/ws-network.js'

const main = fileURLToPath(new URL('../../../daemon/taskmanager/main.js', import.meta.url))

/** As much of a JobManager as a TaskManager needs to be registered. */
async function jobManager() {
  const endpoint = new InternalEndpoint()
  const rpc = new WsRpcNetwork({ clock: systemClock, logger: silentLogger })
  rpc.attach(endpoint)
  let leader: LeaderInfo | undefined
  serveLeaderInfo(endpoint, () => leader)
  const port = await endpoint.start('127.0.0.1', 0)
  const goodbyes: string[] = []
  let register: (registration: TaskManagerRegistration) => void = () => {}
  const registered = new Promise<TaskManagerRegistration>((resolve) => {
    register = resolve
  })
  rpc.endpoints.register(resourceManagerGateway, {
    registerTaskManager: async (registration) => {
      register(registration)
      return { clusterUuid: 'uuid', heartbeatIntervalMs: 60_000, heartbeatTimeoutMs: 300_000 }
    },
    reportSlots: async () => ({ accepted: true }),
    drainTaskManager: async () => ({ slots: 0, moving: false, missing: [] }),
    disconnectTaskManager: async ({ cause }) => {
      goodbyes.push(cause)
      return { accepted: true }
    },
  })
  const lead = () => {
    leader = { jobManagerId: 'jm', rpcAddress: `127.0.0.1:${port}`, restUrl: '', epoch: { incarnation: 0, czxid: '0000000000000001' } }
  }
  const stop = async () => {
    rpc.stop()
    await endpoint.stop()
  }
  return { port, lead, registered, goodbyes, stop }
}

function taskManager(settings: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const { NODE_OPTIONS: _, ...inherited } = process.env
  const confDir = mkdtempSync(join(tmpdir(), 'flott-conf-'))
  writeFileSync(join(confDir, 'config.yaml'), '')
  const args = [main, '--configDir', confDir, ...settings.flatMap((setting) => ['-D', setting])]
  const child: ChildProcess = spawn(process.execPath, args, { env: { ...inherited, ...env }, stdio: ['ignore', 'ignore', 'pipe'] })
  let log = ''
  child.stderr!.on('data', (bytes: Buffer) => {
    log += bytes.toString()
  })
  const exit = new Promise<number | null>((resolve) => child.on('exit', resolve))
  void exit.then(() => rmSync(confDir, { recursive: true }))
  return { child, exit, log: () => log }
}

test('registers once there is a leader, says that it is ready, says goodbye on SIGTERM and exits with 0', async (t) => {
  const master = await jobManager()
  const directory = mkdtempSync(join(tmpdir(), 'flott-test-'))
  t.teardown(() => rmSync(directory, { recursive: true }))
  const ready = join(directory, 'ready')
  const tm = taskManager(
    [
      `jobmanager.rpc.address=127.0.0.1`,
      `jobmanager.rpc.port=${master.port}`,
      'taskmanager.resource-id=tm-test',
      'taskmanager.numberOfTaskSlots=3',
      'taskmanager.memory.managed.size=300 mb',
      `io.tmp.dirs=${directory}`,
    ],
    { FLOTT_READY_FILE: ready },
  )
  master.lead()
  const registration = await master.registered
  t.is(registration.taskManagerId, 'tm-test')
  t.is(registration.slots.length, 3)
  t.is(registration.memory.slotBytes, 100 * 1024 * 1024)
  t.true(registration.dataPort > 0)
  t.true(registration.hardware.cpuCores > 0)
  while (!readdirSync(directory).includes('ready')) await new Promise<void>((resolve) => systemClock.defer(resolve))
  tm.child.kill('SIGTERM')
  t.is(await tm.exit, 0, tm.log())
  t.deepEqual(master.goodbyes, ['it is drained'])
  t.regex(readFileSync(ready, 'utf8'), /^tm-test/)
  await master.stop()
})

test('a mistake in the configuration is exit code 78, with the key named', async (t) => {
  const typo = taskManager(['taskmanager.numberOfTaskSlot=3'])
  t.is(await typo.exit, 78)
  t.regex(typo.log(), /taskmanager\.numberOfTaskSlots/)
  const port = taskManager(['jobmanager.rpc.port=0'])
  t.is(await port.exit, 78)
  t.regex(port.log(), /jobmanager\.rpc\.port: .* must be one port/)
  const heap = taskManager([], { NODE_OPTIONS: '--max-old-space-size=500' })
  t.is(await heap.exit, 78)
  t.regex(heap.log(), /max-old-space-size/)
})
