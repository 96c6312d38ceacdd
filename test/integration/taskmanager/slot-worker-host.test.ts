import { readFileSync } from 'node:fs'
import test from 'ava'
import { systemClock } from '#core/clock.js'
import { FlottError } from '#core/errors.js'
import { silentLogger } from '#core/logger.js'
import { createDoorbell } from '#taskmanager/exchange/doorbell.js'
import type { FromSlotWorker, SlotWorker } from '#taskmanager/slotworker/protocol.js'
import { limitsOf, ThreadSlotWorkerHost } from '#taskmanager/slotworker/slot-worker-host.js'
import { SlotWorkers } from '#taskmanager/slotworker/slot-workers.js'
import { sketchJob } from '../../support/slot-job.js'

const entry = new URL('../../../../test/fixtures/slot-workers/scripted-entry.mjs', import.meta.url)
const ENTRY = readFileSync(entry, 'utf8').split('\n')
const host = new ThreadSlotWorkerHost(entry)

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

test.serial('a worker that outgrows its limit is MEMORY_EXCEEDED; the process lives', async (t) => {
  const { worker, exit } = start('grow')
  worker.post({ kind: 'report-metrics' })
  const cause = await exit
  t.true(cause instanceof FlottError && cause.code === 'MEMORY_EXCEEDED')
})

test.serial('the stack of a worker that loops; it goes on, and ends when told', async (t) => {
  for (const [does, line] of [
    ['block', "=== 'block'"],
    ['parse', 'JSON.parse('],
    ['wait', 'Atomics.wait('],
  ] as const) {
    const { worker, heard, exit } = start(does)
    await heard(1)
    worker.post({ kind: 'report-metrics' })
    await heard(2) // It says so before it begins.
    for (let turn = 0; turn < 2; turn++) {
      const frames = await worker.stack!(new AbortController().signal)
      t.true(
        frames!.some((frame) => frame.url.endsWith('scripted-entry.mjs') && ENTRY[frame.line - 1]!.includes(line)),
        JSON.stringify(frames),
      )
    }
    await worker.terminate()
    t.is((await exit) instanceof FlottError, true)
  }
})

test.serial('no stack is waited for longer than asked; a worker that is being paused ends when told', async (t) => {
  const { worker, heard, exit } = start('sleep')
  await heard(1)
  worker.post({ kind: 'report-metrics' })
  await heard(2)
  const over = new AbortController()
  const none = worker.stack!(over.signal)
  over.abort()
  t.is(await none, undefined)
  const ended = worker.stack!(new AbortController().signal)
  const terminated = worker.terminate()
  t.is(await ended, undefined)
  await terminated
  await exit
  t.is(await worker.stack!(new AbortController().signal), undefined)
})

test.serial('a worker that has died of its memory is told with what it had entered last', async (t) => {
  const { jobGraph } = sketchJob([{ name: 'grows', operators: [{ uid: 'list', kind: 'map', f: (n: number) => n }] }], [])
  const cause = await new Promise<FlottError | undefined>((resolve) => {
    const workers = new SlotWorkers({
      host,
      clock: systemClock,
      logger: silentLogger,
      taskManagerId: 'tm',
      slotBytes: 1,
      logLevel: 'grow',
      watchdogMs: 0,
      keepSpare: false,
      onMessage() {},
      onExit: (_, lost) => resolve(lost),
    })
    workers.start()
    workers.assign(0)
    workers.post(0, { kind: 'deploy', job: { jobGraph }, tasks: [] })
  })
  t.is(cause?.code, 'MEMORY_EXCEEDED')
  t.regex(cause!.message, /last entered: operator 'list' \(uid 'list', declared at job.ts:1:1\) of vertex 'grows', subtask 0 of 1$/)
})

test('limits are twice the share', (t) => {
  t.deepEqual(limitsOf(300 * 1024 * 1024), { maxOldGenerationSizeMb: 600, maxYoungGenerationSizeMb: 64 })
  t.deepEqual(limitsOf(100 * 1024 * 1024), { maxOldGenerationSizeMb: 200, maxYoungGenerationSizeMb: 16 })
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
