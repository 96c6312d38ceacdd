/** A session over a double of the library, which calls back as it likes. What real servers do is in test/contract. */
import test from 'ava'
import { NativeSession } from '#ha/zookeeper/native-session.js'
import { FakeClock } from '../../support/fake-clock.js'

type NativeClient = ConstructorParameters<typeof NativeSession>[0]
const CONNECTION_LOSS = -4

class LibraryDouble {
  readonly client_id = '1'
  readonly client_password = 'secret'
  readonly timeout = 4_000
  state = 3
  closed = false
  readonly #listeners = new Map<string, () => void>()
  #done: (rc: number, error: string, ...answer: never[]) => void = () => {}
  watcher: (type: number) => void = () => {}

  on(event: string, listener: () => void): void {
    this.#listeners.set(event, listener)
  }
  off(): void {}
  close(): void {
    this.closed = true
  }
  a_sync(_path: string, done: (rc: number, error: string) => void): number {
    this.#done = done
    return 0
  }
  aw_get(_path: string, watcher: (type: number) => void, done: (rc: number, error: string, ...answer: never[]) => void): number {
    this.watcher = watcher
    this.#done = done
    return 0
  }
  say(event: 'connecting' | 'connect' | 'close'): void {
    this.#listeners.get(event)!()
  }
  answer(rc: number, ...answer: unknown[]): void {
    this.#done(rc, '', ...(answer as never[]))
  }
}
function session() {
  const clock = new FakeClock()
  const library = new LibraryDouble()
  const reattached: LibraryDouble[] = []
  const made = new NativeSession(library as unknown as NativeClient, {
    clock,
    acl: 'open',
    reconnectWaitMs: 100,
    reattach: async () => {
      const next = new LibraryDouble()
      reattached.push(next)
      return next as unknown as NativeClient
    },
  })
  return { clock, library, reattached, session: made }
}

test('a connection that is lost is noticed, and dropped, in a turn of its own', async (t) => {
  const { clock, library, reattached, session: made } = session()
  const states: string[] = []
  made.onState((state) => states.push(state))
  library.state = 1
  library.say('connecting')
  t.deepEqual([states, library.closed], [[], false])
  await clock.advance(0)
  t.deepEqual([states, library.closed, reattached.length], [['SUSPENDED', 'CONNECTED'], true, 1])
})

test('calls fail in a turn of their own, when the connection has been dropped', async (t) => {
  const { clock, library, session: made } = session()
  let failed = false
  const call = made.sync('/').catch(() => {
    failed = true
    t.true(library.closed)
  })
  library.state = 1
  library.say('connecting') // As the library does it: the event first.
  library.answer(CONNECTION_LOSS)
  for (let turn = 0; turn < 10; turn++) await Promise.resolve()
  t.false(failed)
  await clock.advance(0)
  await call
  t.true(failed)
})

test('a change that is watched is told in a turn of its own, once', async (t) => {
  const { clock, library, session: made } = session()
  let changes = 0
  const read = made.get('/node', () => changes++)
  library.answer(0, { czxid: 1, version: 2, ephemeralOwner: '0' }, Buffer.from('x'))
  await clock.advance(0)
  t.is((await read)!.version, 2)
  library.watcher(3)
  library.watcher(3)
  t.is(changes, 0)
  await clock.advance(0)
  t.is(changes, 1)
})

test('a connection that was lost before anybody listened is dropped', async (t) => {
  const clock = new FakeClock()
  const library = new LibraryDouble()
  library.state = 1
  const made = new NativeSession(library as unknown as NativeClient, {
    clock,
    acl: 'open',
    reconnectWaitMs: 100,
    reattach: () => new Promise(() => {}),
  })
  await clock.advance(0)
  t.is(made.state, 'SUSPENDED')
  t.true(library.closed)
})
