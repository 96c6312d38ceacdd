import test from 'ava'
import { Mailbox } from '#rpc/mailbox.js'

test('a turn asked for within a turn runs after it', (t) => {
  const log: string[] = []
  const mailbox = new Mailbox(() => t.fail())
  mailbox.run(() => {
    log.push('a begins')
    mailbox.run(() => log.push('b'))
    log.push('a ends')
  })
  t.deepEqual(log, ['a begins', 'a ends', 'b'])
})

test('what a turn throws goes to onError or to its caller, and the next turns run', async (t) => {
  const errors: unknown[] = []
  const mailbox = new Mailbox((error) => errors.push(error))
  mailbox.run(() => {
    throw new Error('broken')
  })
  t.is((errors[0] as Error).message, 'broken')
  await t.throwsAsync(
    mailbox.call(() => {
      throw new Error('told')
    }),
    { message: 'told' },
  )
  t.is(await mailbox.call(() => 3), 3)
})

test('nothing runs after close', async (t) => {
  const mailbox = new Mailbox(() => t.fail())
  mailbox.close()
  mailbox.run(() => t.fail())
  await t.throwsAsync(
    mailbox.call(() => t.fail()),
    { code: 'SHUTTING_DOWN' },
  )
})
