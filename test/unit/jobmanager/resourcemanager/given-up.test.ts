import test from 'ava'
import { silentLogger } from '#core/logger.js'
import { memoryFactStore } from '#ha/memory/memory-fact-store.js'
import { GivenUpTaskManagers } from '#jobmanager/resourcemanager/given-up.js'
import type { TaskManagerRegistration } from '#protocol/gateways/resource-manager-gateway.js'
import type { FactStore } from '#protocol/ha/facts.js'

const FREE = [{ slotIndex: 0, state: 'FREE' as const }]
const registration = (life: number, slots: TaskManagerRegistration['slots'] = FREE, processId = 'p'): TaskManagerRegistration => ({
  taskManagerId: 'tm',
  processId,
  life,
  slots,
  host: 'tm',
  dataPort: 1,
  hardware: { cpuCores: 1, physicalMemoryBytes: 1, freeMemoryBytes: 1, cpuModel: '', os: '' },
  memory: { managedBytes: 1, slotBytes: 1 },
  attempts: [],
  version: '0',
})
const mark = { taskManagerId: 'tm', processId: 'p', life: 0, cause: 'silent', time: 1 }
const under = (facts: FactStore) => new GivenUpTaskManagers(facts, silentLogger)
const ids = async (facts: FactStore) => {
  await new Promise(setImmediate) // All writes are done: they wait for nothing else.
  return (await facts.listMarks()).map(({ taskManagerId }) => taskManagerId)
}

test('it is refused until it has stopped what it had, by the next leader too, and then forgotten', async (t) => {
  const facts = memoryFactStore()
  under(facts).giveUp(mark)
  t.deepEqual(await ids(facts), ['tm'])
  const next = under(facts)
  await next.load()
  t.is(next.refusal(registration(0)), 'silent')
  t.is(next.refusal(registration(1, [{ slotIndex: 0, state: 'RELEASING', jobId: 'j', allocationId: 'a' }])), 'silent')
  t.is(next.refusal(registration(1)), undefined)
  next.returned(registration(1))
  t.deepEqual(await ids(facts), [])
  t.is(next.refusal(registration(1, [{ slotIndex: 0, state: 'ACTIVE', jobId: 'j', allocationId: 'a' }])), undefined)
})

test('a new process of the same name has nothing of it, and the old one keeps its mark', async (t) => {
  const facts = memoryFactStore()
  const givenUp = under(facts)
  givenUp.giveUp(mark)
  t.is(givenUp.refusal(registration(0, FREE, 'q')), undefined)
  givenUp.returned(registration(0, FREE, 'q'))
  t.deepEqual(await ids(facts), ['tm'])
  t.is(givenUp.refusal(registration(0)), 'silent')
})

test('the oldest marks are forgotten: most of their TaskManagers never come back', async (t) => {
  const facts = memoryFactStore()
  const givenUp = under(facts)
  for (let i = 0; i < 230; i++) givenUp.giveUp({ ...mark, taskManagerId: `tm-${i}`, time: i })
  const left = await ids(facts)
  t.is(left.length, 200)
  t.false(left.includes('tm-29'))
  t.true(left.includes('tm-30'))
})

test('a mark that can not be written does not keep the next one from being written', async (t) => {
  const facts = memoryFactStore()
  let fails = true
  const givenUp = under(
    Object.assign(Object.create(facts) as FactStore, {
      async setMark(given: typeof mark) {
        if (fails) throw new Error('no disk')
        await facts.setMark(given)
      },
    }),
  )
  givenUp.giveUp(mark)
  await ids(facts)
  fails = false
  givenUp.giveUp({ ...mark, taskManagerId: 'other' })
  t.deepEqual(await ids(facts), ['other'])
  t.is(givenUp.refusal(registration(0)), 'silent')
})
