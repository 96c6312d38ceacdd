import test from 'ava'
import type { Logger } from '#core/logger.js'
import { Outage } from '#core/outage.js'

test('an outage is told when it begins, when its reason changes and when it is over; repetitions are for who debugs', (t) => {
  const told: string[] = []
  const at = (level: string) => (text: string, fields?: object) => void told.push(`${level} ${text} ${JSON.stringify(fields)}`)
  const logger: Logger = { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error'), child: () => logger }
  const outage = new Outage(logger)
  outage.over('nothing was wrong')
  const failed = (reason: string) => outage.failed('no answer', { message: reason, toString: () => reason }, { from: 'a' })
  for (const reason of ['refused', 'refused', 'refused', 'reset']) failed(reason)
  outage.over('it answers')
  outage.over('it answers')
  failed('reset')
  t.deepEqual(
    told.map((line) => line.split(' ')[0]),
    ['warn', 'debug', 'debug', 'warn', 'info', 'warn'],
  )
  t.regex(told[0]!, /^warn no answer .*"from":"a".*"error":/)
})
