import test from 'ava'
import { StartedParts, startInOrder } from '#core/started-parts.js'

function parts() {
  const log: string[] = []
  const part = (name: string, failing: { start?: boolean; stop?: boolean } = {}) => ({
    async start() {
      log.push(`+${name}`)
      if (failing.start) throw new Error(`start ${name}`)
    },
    async stop() {
      await Promise.resolve()
      log.push(`-${name}`)
      if (failing.stop) throw new Error(`stop ${name}`)
    },
  })
  return { log, part }
}

test('a clean stop ends in reverse, once', async (t) => {
  const { log, part } = parts()
  const started = await startInOrder(async (all) => {
    await all.start(part('disk'))
    all.add(() => log.push('-timer'))
    await all.start(part('rest'))
    return all
  })
  await Promise.all([started.end(), started.end()])
  await started.end()
  t.deepEqual(log, ['+disk', '+rest', '-rest', '-timer', '-disk'])
})

test('a step that fails ends what came before it, and itself', async (t) => {
  const { log, part } = parts()
  const failed = startInOrder(async (all) => {
    await all.start(part('disk'))
    await all.start(part('rest', { start: true }))
    await all.start(part('election'))
  })
  await t.throwsAsync(failed, { message: 'start rest' })
  t.deepEqual(log, ['+disk', '+rest', '-rest', '-disk'])
})

test('one that does not end keeps no other from ending, and no error is lost', async (t) => {
  const { log, part } = parts()
  const failed = startInOrder(async (all) => {
    await all.start(part('disk'))
    await all.start(part('endpoint', { stop: true }))
    await all.start(part('rest', { start: true }))
  })
  const error = await t.throwsAsync<AggregateError>(failed, { instanceOf: AggregateError })
  t.deepEqual(
    error.errors.map((each: Error) => each.message),
    ['start rest', 'stop endpoint'],
  )
  t.deepEqual(log, ['+disk', '+endpoint', '+rest', '-rest', '-endpoint', '-disk'])
  const both = new StartedParts()
  for (const name of ['a', 'b']) await both.start(part(name, { stop: true }))
  const several = await t.throwsAsync<AggregateError>(both.end(), { instanceOf: AggregateError })
  t.is(several.errors.length, 2)
})
