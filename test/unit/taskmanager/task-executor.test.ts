import test from 'ava'
import { FlottError } from '#core/errors.js'
import type { ToSlotWorker } from '#taskmanager/slotworker/protocol.js'
import { deploymentOf, ScriptedLeader, type ScriptedWorker, TaskExecutorWorld } from '../../support/task-executor-world.js'

async function deployed(options: Parameters<typeof deploymentOf>[0] = {}) {
  const world = new TaskExecutorWorld()
  await world.taskExecutor.start()
  const leader = await world.leader(1)
  await world.allocate(leader, 0)
  if (!options.elsewhere?.includes(1)) await world.allocate(leader, 1)
  await world.call(leader.taskExecutor().submitTasks(deploymentOf(options)))
  return { world, leader }
}
function deployOf(worker: ScriptedWorker): ToSlotWorker & { kind: 'deploy' } {
  return worker.received.find((message) => message.kind === 'deploy') as ToSlotWorker & { kind: 'deploy' }
}

test('registers with the leader, and says what it has', async (t) => {
  const world = new TaskExecutorWorld()
  await world.taskExecutor.start()
  const leader = await world.leader(1)
  t.deepEqual(leader.registrations[0]!.slots, [
    { slotIndex: 0, state: 'FREE' },
    { slotIndex: 1, state: 'FREE' },
  ])
  t.deepEqual(leader.registrations[0]!.memory, { managedBytes: 100, slotBytes: 50 })
  t.is(world.workers.started.length, 2) // The spares.
  const heartbeat = await world.call(leader.taskExecutor().heartbeat({ sequence: 1 }))
  t.deepEqual(heartbeat.attempts, [])
})

test('slots: one job each, repeated requests are accepted', async (t) => {
  const world = new TaskExecutorWorld()
  await world.taskExecutor.start()
  const leader = await world.leader(1)
  await world.allocate(leader, 0)
  await world.allocate(leader, 0)
  await t.throwsAsync(world.allocate(leader, 0, 'another'), { code: 'SLOT_NOT_AVAILABLE' })
  await t.throwsAsync(world.call(leader.taskExecutor().submitTasks(deploymentOf())), { code: 'SLOT_NOT_AVAILABLE' })
  const heartbeat = await world.call(leader.taskExecutor().heartbeat({ sequence: 1 }))
  t.deepEqual(
    heartbeat.slots.map(({ state }) => state),
    ['ALLOCATED', 'FREE'],
  )
  t.deepEqual(heartbeat.attempts, [])
})

test('channels: none within a slot, one ring between two slots, the network to another TaskManager', async (t) => {
  const { world } = await deployed()
  const [first, second] = [deployOf(world.worker(0)), deployOf(world.worker(1))]
  const [source, target] = first.tasks
  t.deepEqual(
    first.tasks.map((task) => task.descriptor.attemptId),
    ['s_0_1', 't_0_1'],
  )
  t.is(source!.outputs[0]!.ring, undefined)
  t.is(target!.inputs[0]!.ring, undefined)
  const across = second.tasks[1]!.inputs[0]!
  t.is(across.producerAttempt, 's_0_1')
  t.is(source!.outputs[1]!.ring, across.ring)
  t.truthy(across.ring)
  t.not(source!.outputs[1]!.peerDoorbell, across.peerDoorbell)
  t.deepEqual(world.data.log, [])

  const remote = await deployed({ elsewhere: [1] })
  t.deepEqual(remote.world.data.log, ['output s_0_1 -> t_1_1', 'input s_1_1 -> t_0_1 from other:7'])
  const task = deployOf(remote.world.worker(0)).tasks[1]!
  t.is(task.inputs[1]!.peerDoorbell, remote.world.data.doorbell)
  t.not(task.inputs[1]!.ring, undefined)
  remote.world.data.inputs[0]!.onBroken(new FlottError('CHANNEL_BROKEN', 'gone'))
  const told = remote.world.worker(0).received.at(-1) as ToSlotWorker & { kind: 'channel-broken' }
  t.deepEqual([told.kind, told.attemptId, told.channel, told.cause.code], ['channel-broken', 't_0_1', 1, 'CHANNEL_BROKEN'])
})

test('submitting again changes nothing', async (t) => {
  const { world, leader } = await deployed()
  await world.call(leader.taskExecutor().submitTasks(deploymentOf()))
  t.deepEqual(world.worker(0).kinds(), ['deploy'])
})

test('what attempts say at the same time is one call; what has no bound goes alone', async (t) => {
  const { world, leader } = await deployed()
  for (const attemptId of ['s_0_1', 't_0_1']) world.worker(0).say({ kind: 'task-state', attemptId, state: 'RUNNING' })
  for (const attemptId of ['s_1_1', 't_1_1']) world.worker(1).say({ kind: 'task-state', attemptId, state: 'RUNNING' })
  await world.clock.advance(20)
  t.deepEqual(leader.reportsAtOnce, [4])
  const accumulators = { lines: { kind: 'sum', value: 1 } } as const
  for (const attemptId of ['s_0_1', 't_0_1']) world.worker(0).say({ kind: 'task-state', attemptId, state: 'FINISHED', accumulators })
  await world.clock.advance(20)
  t.deepEqual(leader.reportsAtOnce, [4, 1, 1])
  t.is(leader.told.length, 6)
})

test('reports go in order, each after the acknowledgement of the last', async (t) => {
  const { world, leader } = await deployed()
  const open: (() => void)[] = []
  leader.beforeTaking = () => new Promise<void>((resolve) => void open.push(resolve))
  const worker = world.worker(0)
  for (const state of ['INITIALIZING', 'RUNNING', 'FINISHED'] as const) worker.say({ kind: 'task-state', attemptId: 's_0_1', state })
  worker.say({ kind: 'task-state', attemptId: 't_0_1', state: 'INITIALIZING' })
  await world.clock.advance(20)
  t.is(open.length, 2) // One of each attempt.
  open.shift()!()
  await world.clock.advance(20)
  t.deepEqual(leader.told, ['s_0_1 INITIALIZING'])
  leader.beforeTaking = () => {}
  for (const release of open) release()
  await world.clock.advance(20)
  t.deepEqual(
    leader.told.filter((line) => line.startsWith('s_0_1')),
    ['s_0_1 INITIALIZING', 's_0_1 RUNNING', 's_0_1 FINISHED'],
  )
  t.deepEqual(world.data.log, ['close s_0_1 finished'])
})

test('a leader dies: tasks stay, the next leader hears of them and of every report that was not acknowledged', async (t) => {
  const { world, leader } = await deployed()
  const [first, second] = [world.worker(0), world.worker(1)]
  for (const attemptId of ['s_0_1', 't_0_1']) first.say({ kind: 'task-state', attemptId, state: 'RUNNING' })
  for (const attemptId of ['s_1_1', 't_1_1']) second.say({ kind: 'task-state', attemptId, state: 'RUNNING' })
  await world.clock.advance(20)
  t.is(leader.told.length, 4)
  leader.beforeTaking = () => new Promise<void>(() => {}) // It takes in, and will not answer any more.
  first.say({
    kind: 'checkpoint-acknowledged',
    attemptId: 's_0_1',
    checkpointId: 3,
    snapshot: { subtaskIndex: 0, finished: false, operators: {} },
    metrics: metrics(),
  })
  first.say({ kind: 'task-state', attemptId: 's_0_1', state: 'FINISHED' })
  await world.clock.advance(20)
  world.network.crash('jm:1')
  await world.clock.advance(3_000)
  second.say({
    kind: 'task-state',
    attemptId: 't_1_1',
    state: 'FAILED',
    error: { name: 'FlottError', code: 'USER_FUNCTION_FAILED', message: 'x' },
  })
  await world.clock.advance(3_000)

  const next = await world.leader(2)
  const reported = next.registrations[0]!.attempts
  t.deepEqual(
    reported.map(({ attemptId, state, pendingCheckpoints }) => [attemptId, state, pendingCheckpoints]),
    [
      ['s_0_1', 'FINISHED', [3]],
      ['s_1_1', 'RUNNING', []],
      ['t_0_1', 'RUNNING', []],
      ['t_1_1', 'FAILED', []],
    ],
  )
  t.is(reported[3]!.error?.message, 'x')
  t.deepEqual(next.told.toSorted(), ['s_0_1 FINISHED', 't_1_1 FAILED USER_FUNCTION_FAILED'])
  t.deepEqual(first.kinds(), ['deploy'])
  t.false(first.ended)
  await t.throwsAsync(world.call(world.network.at('tm:1')!.dial('jm:1')), { code: 'CONNECTION_REFUSED' })
})

test('a job whose JobMaster is not there yet is waited for', async (t) => {
  const { world } = await deployed()
  world.worker(0).say({ kind: 'task-state', attemptId: 's_0_1', state: 'RUNNING' })
  await world.clock.advance(20)
  world.worker(0).say({ kind: 'task-state', attemptId: 's_0_1', state: 'FINISHED' })
  world.network.crash('jm:1')
  const next = await world.leader(2, [])
  await world.clock.advance(5_000)
  t.deepEqual(next.told, [])
  next.serveJob('job')
  await world.clock.advance(3_000)
  t.deepEqual(next.told, ['s_0_1 FINISHED'])
})

test('calls of an older leader are refused', async (t) => {
  const { world, leader } = await deployed()
  const old = await world.call(leader.process.dial('tm:1'))
  await world.leader(2)
  const { taskExecutorGateway } = await import('#protocol/gateways/task-executor-gateway.js')
  const late = old.gateway(taskExecutorGateway, { epoch: () => leader.info.epoch })
  await t.throwsAsync(world.call(late.freeSlot({ allocationId: 'alloc-0', cause: 'late' })), { code: 'NOT_LEADER' })
  t.false(world.worker(0).ended)
})

test('cancel: once to the worker, CANCELED comes from there; what was not started is CANCELED at once', async (t) => {
  const { world, leader } = await deployed()
  const request = { jobId: 'job', attemptIds: ['s_0_1', 't_0_1', 'unknown'] }
  await world.call(leader.taskExecutor().cancelTasks(request))
  await world.call(leader.taskExecutor().cancelTasks(request))
  t.deepEqual(world.worker(0).kinds(), ['deploy', 'cancel', 'cancel'])
  world.worker(0).say({ kind: 'task-state', attemptId: 's_0_1', state: 'CANCELED' })
  await world.clock.advance(20)
  t.deepEqual(leader.told, ['s_0_1 CANCELED'])
  await world.clock.advance(180_000)
  t.true(world.worker(0).ended) // t_0_1 did not end in time.
  t.true(leader.told.includes('t_0_1 CANCELED'))
})

test('freeing a slot fails its tasks, throws the worker away and makes the slot free', async (t) => {
  const { world, leader } = await deployed()
  await world.call(leader.taskExecutor().freeSlot({ allocationId: 'alloc-0', cause: 'job ended' }))
  await world.call(leader.taskExecutor().freeSlot({ allocationId: 'alloc-0', cause: 'job ended' }))
  t.true(world.worker(0).ended)
  t.false(world.worker(1).ended)
  t.deepEqual([...leader.told].sort(), ['s_0_1 FAILED TASK_LOST', 'slots FREE ACTIVE', 't_0_1 FAILED TASK_LOST'])
  await world.allocate(leader, 0, 'next', 'job')
  const heartbeat = await world.call(leader.taskExecutor().heartbeat({ sequence: 1 }))
  t.deepEqual(heartbeat.attempts.map(({ attemptId }) => attemptId).sort(), ['s_1_1', 't_1_1'])
})

test('a worker that dies fails its tasks; the slot stays with the job, and the next attempts get a new worker', async (t) => {
  const { world, leader } = await deployed()
  world.worker(0).exit(new FlottError('MEMORY_EXCEEDED', 'too much'))
  await world.clock.advance(20)
  t.deepEqual([...leader.told].sort(), ['s_0_1 FAILED MEMORY_EXCEEDED', 'slots ALLOCATED ACTIVE', 't_0_1 FAILED MEMORY_EXCEEDED'])
  const next = deploymentOf({ attemptNumber: 2 })
  await world.call(leader.taskExecutor().submitTasks({ ...next, tasks: next.tasks.filter(({ slotIndex }) => slotIndex === 0) }))
  t.deepEqual(
    deployOf(world.worker(2)).tasks.map((task) => task.descriptor.attemptId),
    ['s_0_2', 't_0_2'],
  )
})

test('a worker that answers no ping is thrown away: TASK_BLOCKED', async (t) => {
  const { world, leader } = await deployed()
  world.workers.answersPings = false
  const beat = async () => {
    await world.clock.advance(1_000)
    await world.call(leader.taskExecutor().heartbeat({ sequence: 1 }))
  }
  for (let i = 0; i < 28; i++) await beat()
  t.false(world.worker(0).ended)
  for (let i = 0; i < 5; i++) await beat()
  t.true(world.worker(0).ended)
  t.true(leader.told.includes('s_0_1 FAILED TASK_BLOCKED'))
})

test('checkpoints and operator events reach the workers of their attempts', async (t) => {
  const { world, leader } = await deployed()
  const taskExecutor = leader.taskExecutor()
  const trigger = { jobId: 'job', checkpointId: 5, timestamp: 9, attemptIds: ['s_0_1', 's_1_1', 'unknown'], assigned: { o: { 0: 1 } } }
  await world.call(taskExecutor.triggerCheckpoint(trigger))
  await world.call(taskExecutor.notifyCheckpointComplete({ jobId: 'job', checkpointId: 5, attemptIds: ['s_0_1', 't_0_1', 's_1_1'] }))
  await world.call(taskExecutor.notifyCheckpointAborted({ jobId: 'job', checkpointId: 6, attemptIds: ['t_1_1'] }))
  const events = [{ number: 1, event: { kind: 'no-more-splits' as const } }]
  await world.call(taskExecutor.sendOperatorEvents({ jobId: 'job', attemptId: 's_0_1', operatorId: 'o', events }))
  t.deepEqual(world.worker(0).kinds(), ['deploy', 'trigger-checkpoint', 'checkpoint-complete', 'operator-events'])
  t.deepEqual(world.worker(1).kinds(), ['deploy', 'trigger-checkpoint', 'checkpoint-complete', 'checkpoint-aborted'])
  t.deepEqual(
    world.worker(0).received.find((m) => m.kind === 'trigger-checkpoint'),
    {
      kind: 'trigger-checkpoint',
      checkpointId: 5,
      timestamp: 9,
      assigned: { o: { 0: 1 } },
      attemptIds: ['s_0_1'],
      epoch: '0:0000000000000001',
    },
  )
  const gone = { jobId: 'job', attemptId: 'gone', operatorId: 'o', events }
  await t.throwsAsync(world.call(taskExecutor.sendOperatorEvents(gone)), { code: 'TASK_LOST' })
})

test('neither leader nor ZooKeeper for taskmanager.leaderless-timeout: the tasks end', async (t) => {
  const { world } = await deployed()
  world.network.crash('jm:1')
  await world.clock.advance(120_000)
  t.false(world.worker(0).ended, 'ZooKeeper is there: they run on')
  world.retrieval.connected = false
  await world.clock.advance(59_000)
  t.false(world.worker(0).ended)
  await world.clock.advance(3_000)
  t.true(world.worker(0).ended)
  t.true(world.worker(1).ended)
})

test('the mark that its leader gave it up: the tasks end, though the leader is out of reach, and the next registration says so', async (t) => {
  const { world, leader } = await deployed()
  const { processId } = leader.registrations[0]!
  world.network.cut('tm:1', 'jm:1')
  world.retrieval.mark('of another process', 0)
  await world.clock.advance(100)
  t.false(world.worker(0).ended)
  world.retrieval.mark(processId, 0)
  await world.clock.advance(100)
  t.true(world.worker(0).ended && world.worker(1).ended)
  world.network.heal('tm:1', 'jm:1')
  await world.clock.advance(20_000)
  const { life, slots, attempts } = leader.registrations.at(-1)!
  t.deepEqual([life, slots.map(({ state }) => state), attempts], [1, ['FREE', 'FREE'], []])
})

test('a mark of an earlier life ends nothing', async (t) => {
  const world = new TaskExecutorWorld()
  await world.taskExecutor.start()
  const leader = await world.leader(1)
  const { processId } = leader.registrations[0]!
  world.retrieval.mark(processId, 0)
  await world.allocate(leader, 0)
  await world.allocate(leader, 1)
  await world.call(leader.taskExecutor().submitTasks(deploymentOf()))
  world.retrieval.mark(processId, 0)
  await world.clock.advance(100)
  t.true(world.workers.started.filter(({ received }) => received.some(({ kind }) => kind === 'deploy')).every(({ ended }) => !ended))
})

test('refused because it was given up: the tasks end, and it comes again until it is taken', async (t) => {
  const { world } = await deployed()
  const next = new ScriptedLeader(world.network.process('jm:2'), 2, ['job'])
  next.refuses = ({ life, slots }) => life === 0 || slots.some(({ state }) => state !== 'FREE')
  world.retrieval.set(next.info)
  await world.clock.advance(2_000)
  t.true(world.worker(0).ended && world.worker(1).ended)
  t.true(next.registrations[0]!.attempts.length > 0)
  t.deepEqual(next.registrations.at(-1)!.attempts, [])
  t.false(next.refuses(next.registrations.at(-1)!))
})

test('a silent leader is dialled again', async (t) => {
  const { world, leader } = await deployed()
  await world.clock.advance(20_000)
  t.true(leader.registrations.length > 1)
})

test('stopping says goodbye and ends all workers', async (t) => {
  const { world, leader } = await deployed()
  await world.call(world.taskExecutor.stop())
  t.deepEqual(leader.goodbyes, ['the TaskManager stops'])
  t.true(world.workers.started.every((worker) => worker.ended))
})

function metrics() {
  return {
    checkpointStartDelayMs: 0,
    alignmentDurationMs: 0,
    syncDurationMs: 0,
    asyncDurationMs: 0,
    checkpointedBytes: 0,
    stateBytes: 0,
    unaligned: false,
  }
}
