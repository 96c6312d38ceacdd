import type { Clock } from '#core/clock.js'
import { FlottError } from '#core/errors.js'
import type { ClientHandle } from './client-handle.js'
import { errorOf, RC } from './result-codes.js'

/**
 * The handle once it is connected and authorized; undefined when its connection was lost on the way, or did not come in time: its session
 * may live. ZOOKEEPER_SESSION_EXPIRED, ZOOKEEPER_NOT_AUTHORIZED: the handle is closed.
 */
export async function connectHandle(
  handle: ClientHandle,
  options: { readonly clock: Clock; readonly withinMs: number; readonly authorization: readonly { scheme: string; auth: string }[] },
): Promise<ClientHandle | undefined> {
  try {
    if (!(await connected(handle, options))) return undefined
    for (const { scheme, auth } of options.authorization) {
      const { rc, text } = await handle.call('add_auth', [scheme, auth])
      if (rc === RC.OK) continue
      if (handle.state === 'DROPPED' || rc === RC.CLOSING) return undefined
      throw errorOf(rc, `authorization by ${scheme}`, text)
    }
    return handle
  } catch (error) {
    await handle.close() // With a session that is of no use without.
    throw error
  }
}

function connected(handle: ClientHandle, { clock, withinMs }: { clock: Clock; withinMs: number }): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const timer = clock.setTimer(withinMs, () => handle.drop())
    handle.onState = (state) => {
      if (state === 'CONNECTING') return
      timer.cancel()
      if (state === 'EXPIRED') reject(new FlottError('ZOOKEEPER_SESSION_EXPIRED', 'ZooKeeper refused the session: it has ended'))
      else resolve(state === 'CONNECTED')
    }
  })
}
