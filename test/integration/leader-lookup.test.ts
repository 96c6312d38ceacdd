/** How a TaskManager without ZooKeeper finds its JobManager, and what it says while there is none. */
import test from 'ava'
import { systemClock } from '#core/clock.js'
import { createLogger } from '#core/logger.js'
import type { LeaderInfo } from '#protocol/ha/facts.js'
import { InternalEndpoint } from '#rpc/internal-endpoint.js'
import { AskedLeaderRetrieval, serveLeaderInfo } from '#rpc/leader-info.js'
import { freePort } from '../support/free-port.js'

test('a JobManager that is not there is named in the log, once, and found when it comes', async (t) => {
  const port = await freePort()
  const lines: string[] = []
  const logger = createLogger({ level: 'info', destination: { write: (line) => void lines.push(line) } })
  const retrieval = new AskedLeaderRetrieval({ address: `localhost:${port}`, clock: systemClock, logger })
  const found = new Promise<LeaderInfo>((resolve) => retrieval.watch((leader) => leader && resolve(leader)))
  await retrieval.start()
  t.teardown(() => retrieval.stop())
  while (lines.length === 0) await new Promise((resolve) => setImmediate(resolve))
  t.regex(lines[0]!, new RegExp(`"level":"warn".*"address":"localhost:${port}".*ECONNREFUSED.*does not say who leads`))
  const leader = { jobManagerId: 'jm', rpcAddress: `localhost:${port}`, restUrl: 'http://jm', epoch: { incarnation: 0, czxid: '1' } }
  const endpoint = new InternalEndpoint()
  serveLeaderInfo(endpoint, () => leader)
  await endpoint.start('localhost', port, port)
  t.teardown(() => endpoint.stop())
  t.deepEqual(await found, leader)
  t.true(retrieval.connected)
  t.is(lines.length, 2, 'the failure, and its end')
  t.regex(lines[1]!, /"level":"info".*the JobManager answers/)
})
