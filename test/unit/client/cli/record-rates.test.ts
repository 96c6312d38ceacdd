import test from 'ava'
import { RecordRates } from '#client/cli/record-rates.js'
import type { JobDetailsResponse } from '#protocol/rest/responses.js'

/** What REST says of a job with one vertex: only what rates are made of. */
function job(records: number, complete = true): JobDetailsResponse {
  const metrics = {
    'read-records': 0,
    'write-records': records,
    'read-records-complete': complete,
    'write-records-complete': complete,
  }
  return { vertices: [{ id: 'source', metrics }] } as unknown as JobDetailsResponse
}

/** Looks each 500 ms at a job that writes 1,000 records/s, whose counts are as old as the last heartbeat. */
function look(rates: RecordRates, { fromMs = 0, toMs, heartbeatMs }: { fromMs?: number; toMs: number; heartbeatMs: number }): void {
  for (let atMs = fromMs; atMs <= toMs; atMs += 500) rates.observe(job(Math.floor(atMs / heartbeatMs) * heartbeatMs), atMs)
}

for (const heartbeatMs of [200, 1000, 3000, 10_000])
  test(`with a heartbeat each ${heartbeatMs} ms the rate of a steady job is its rate at any look`, (t) => {
    for (let toMs = 20_000; toMs <= 32_000; toMs += 500) {
      const rates = new RecordRates()
      look(rates, { toMs, heartbeatMs })
      const rate = rates.of('source', 'write-records')!
      t.true(rate >= 700 && rate <= 1300, `${rate} records/s at ${toMs} ms`)
    }
  })

test('one look has no rate, and neither has a vertex never seen', (t) => {
  const rates = new RecordRates()
  rates.observe(job(5), 0)
  t.is(rates.of('source', 'write-records'), undefined)
  t.is(rates.of('sink', 'write-records'), undefined)
})

test('a job that stands still has a rate of zero after ten seconds', (t) => {
  const rates = new RecordRates()
  look(rates, { toMs: 20_000, heartbeatMs: 1000 })
  for (let atMs = 20_500; atMs <= 31_000; atMs += 500) rates.observe(job(20_000), atMs)
  t.is(rates.of('source', 'write-records'), 0)
})

test('counts that a new leader does not know all yet are left out', (t) => {
  const rates = new RecordRates()
  look(rates, { toMs: 20_000, heartbeatMs: 1000 })
  rates.observe(job(0, false), 20_500)
  rates.observe(job(9_000, false), 21_000)
  look(rates, { fromMs: 21_500, toMs: 22_000, heartbeatMs: 1000 })
  t.is(rates.of('source', 'write-records'), 1000)
})

test('tasks that were restarted count from zero, and so does their rate', (t) => {
  const rates = new RecordRates()
  look(rates, { toMs: 20_000, heartbeatMs: 1000 })
  rates.observe(job(100), 20_500)
  t.is(rates.of('source', 'write-records'), undefined)
  rates.observe(job(600), 21_000)
  t.is(rates.of('source', 'write-records'), 1000)
})
