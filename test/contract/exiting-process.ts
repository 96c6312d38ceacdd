/** Opens a session with the quorum of its first argument, makes the ephemeral node of its second, and ends as its third says. */
import { systemClock } from '#core/clock.js'
import { silentLogger } from '#core/logger.js'
import { systemRandom } from '#core/random.js'
import { NativeZooKeeper } from '#ha/zookeeper/native-zookeeper.js'

const [quorum = '', node = '', how] = process.argv.slice(2)
const options = { quorum, sessionTimeoutMs: 120_000, connectionTimeoutMs: 60_000 }
const session = await new NativeZooKeeper(options, { clock: systemClock, random: systemRandom, logger: silentLogger }).open()
await session.create(node, Buffer.alloc(0), 'ephemeral')
if (how === 'throw') throw new Error('nobody catches it')
if (how === 'close') await session.close()
else process.exit(7)
