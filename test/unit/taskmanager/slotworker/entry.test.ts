import test from 'ava'
import { createDoorbell } from '#taskmanager/exchange/doorbell.js'
import type { FromSlotWorker } from '#taskmanager/slotworker/protocol.js'
import { ThreadSlotWorkerHost } from '#taskmanager/slotworker/slot-worker-host.js'

test('a worker thread comes up, answers and goes', async (t) => {
  const heard: FromSlotWorker[] = []
  const exit = new Promise<Error | undefined>((resolve) => {
    const worker = new ThreadSlotWorkerHost().start(
      { slotIndex: 0, taskManagerId: 'tm', memoryBytes: 2 ** 27, doorbell: createDoorbell(), logLevel: 'info' },
      {
        onMessage(message) {
          heard.push(message)
          if (message.kind === 'ready') worker.post({ kind: 'ping', sequence: 7 })
          if (message.kind === 'pong') void worker.terminate()
        },
        onExit: resolve,
      },
    )
  })
  await exit
  t.deepEqual(heard, [{ kind: 'ready' }, { kind: 'pong', sequence: 7 }])
})
