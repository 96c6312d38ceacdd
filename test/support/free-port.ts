import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'

/** Below the range from which systems number the outgoing end of connections: nobody's reconnects take a port that is free for a moment. */
const FIRST = 10_240
const LAST = 32_000

/** Of the loopback interface: free now, and most likely still when its user listens on it, or listens again. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(FIRST, LAST)
    const server = createServer()
    const taken = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(true))
      server.listen(port, '127.0.0.1', () => resolve(false))
    })
    if (taken) continue
    server.close()
    await once(server, 'close')
    return port
  }
}
