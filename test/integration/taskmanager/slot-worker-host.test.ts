import test from 'ava'
import { systemClock } from '#core/clock.js'
import { FlottError } from '#core/errors.js'
import { silentLogger } from '#core/logger.js'
import { createDoorbell } from '#taskmanager/exchange/doorbell.js'
import type { FromSlotWorker, SlotWorker } from '#taskmanager/slotworker/protocol.js'
import { limitsOf, ThreadSlotWorkerHost } from '#taskmanager/slotworker/slot-worker-host.js'
import { SlotWorkers } from '#taskmanager/slotworker/slot-workers.js'

const host = new ThreadSlotWorkerHost(new URL('../../../../test/fixtures/slot-workers/scripted-entry.mjs', import.meta.url))

function start(does: string) {
  const messages: FromSlotWorker[] = []
  let said: () => void = () => {}
  let exited: (cause: Error | undefined) => void = () => {}
  const exit = new Promise<Error | undefined>((resolve) => {
    exited = resolve
  })
  let exits = 0
  const worker: SlotWorker = host.start(
    { slotIndex: 0, taskManagerId: 'tm', memoryBytes: 1, doorbell: createDoorbell(), logLevel: does },
    {
      onMessage: (message) => {
        messages.push(message)
        said()
      },
      onExit: (cause) => {
        exits++
        exited(cause)
      },
    },
  )
  const heard = async (count: number) => {
    while (messages.length < count)
      await new Promise<void>((resolve) => {
        said = resolve
      })
    return messages
  }
  return { worker, heard, exit, exits: () => exits }
}

test('messages arrive in order; terminate ends it, with one onExit', async (t) => {
  const { worker, heard, exit, exits } = start('echo')
  worker.post({ kind: 'report-metrics' })
  worker.post({ kind: 'ping', sequence: 7 })
  t.deepEqual(await heard(3), [{ kind: 'ready' }, { kind: 'print', line: '{"kind":"report-metrics"}' }, { kind: 'pong', sequence: 7 }])
  await worker.terminate()
  await exit
  await worker.terminate()
  t.is(exits(), 1)
})

test('a worker that throws or exits is TASK_LOST, with the reason', async (t) => {
  for (const [does, reason] of [
    ['throw', /it broke/],
    ['exit', /code 3/],
  ] as const) {
    const { worker, exit } = start(does)
    worker.post({ kind: 'report-metrics' })
    const cause = await exit
    t.true(cause instanceof FlottError && cause.code === 'TASK_LOST')
    t.regex(cause!.message, reason)
  }
})

test('a worker that outgrows its limit is MEMORY_EXCEEDED; the process lives', async (t) => {
  const { worker, exit } = start('grow')
  worker.post({ kind: 'report-metrics' })
  const cause = await exit
  t.true(cause instanceof FlottError && cause.code === 'MEMORY_EXCEEDED')
})

test('limits are twice the share', (t) => {
  t.deepEqual(limitsOf(300 * 1024 * 1024), { maxOldGenerationSizeMb: 600, maxYoungGenerationSizeMb: 64 })
})

test('a slot takes the spare; a worker that loops for ever is thrown away, the others go on', async (t) => {
  const exits: string[] = []
  const messages: string[] = []
  let heard: () => void = () => {}
  const workers = new SlotWorkers({
    host,
    clock: systemClock,
    logger: silentLogger,
    taskManagerId: 'tm',
    slotBytes: 1,
    logLevel: 'block',
    watchdogMs: 1_000,
    onMessage: (slot, message) => messages.push(`${slot} ${message.kind}`),
    onExit: (slot, cause) => {
      exits.push(`${slot} ${cause?.code}`)
      heard()
    },
  })
  workers.start()
  workers.assign(0)
  workers.assign(1)
  t.not(workers.doorbellOf(0), workers.doorbellOf(1))
  const exited = new Promise<void>((resolve) => {
    heard = resolve
  })
  workers.post(1, { kind: 'report-metrics' })
  await exited
  t.deepEqual(exits, ['1 TASK_BLOCKED'])
  t.is(workers.doorbellOf(1), undefined)
  t.truthy(workers.doorbellOf(0))
  await workers.stop()
})
