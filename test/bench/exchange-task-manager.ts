/**
 * A TaskManager as far as the exchange knows one, as a process of its own: its network on the main thread, one slot's worker. The parent
 * says which end it has, passes the producer's port on, and asks for the run. usage (by fork): exchange-task-manager produce|consume RECORDS
 */
import { once } from 'node:events'
import { systemClock } from '#core/clock.js'
import { silentLogger } from '#core/logger.js'
import { createDoorbell } from '#taskmanager/exchange/doorbell.js'
import { createRing } from '#taskmanager/exchange/ring.js'
import { TcpNetworkEnvironment } from '#taskmanager/network/tcp-network-environment.js'
import { CHANNEL, EndWorker, type Role } from './exchange-end.js'

const [role, records] = process.argv.slice(2) as [Role, string]
const network = new TcpNetworkEnvironment({ taskManagerId: role, clock: systemClock, logger: silentLogger })
const port = await network.start('127.0.0.1', 0)
const channel = { ...CHANNEL, ring: createRing(), peerDoorbell: createDoorbell() }
const worker = new EndWorker(role, channel.ring, network.doorbell, Number(records), channel.peerDoorbell)
await worker.ready()
if (role === 'produce') {
  network.openOutput(channel)
  process.send!({ port })
} else {
  process.send!({})
  const [producer] = (await once(process, 'message')) as [{ port: number }]
  network.openInput(channel, { host: '127.0.0.1', port: producer.port }, (cause) => {
    throw cause
  })
  process.send!({})
}
await once(process, 'message')
process.send!(await worker.run())
await once(process, 'message') // The consumer's comes first: a producer that is gone would break its channel.
await worker.stop()
await network.stop()
process.disconnect()
