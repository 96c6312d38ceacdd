import test from 'ava'
import { blockedError, locate } from '#taskmanager/slotworker/blocked-error.js'
import { sketchJob } from '../../../support/slot-job.js'

const { jobGraph } = sketchJob([{ name: 'source', operators: [{ uid: 'spin', kind: 'map', f: (n: number) => n }] }], [])
const job = `job '${jobGraph.jobName}' (${jobGraph.jobId})`
const silentMs = 30_004.4

test('all is told that is known', (t) => {
  const site = { vertex: 0, subtask: 0, operator: 0 }
  const user = { text: 'spin (/job.ts:2:3)', ofUser: true }
  const engine = { text: 'run (/engine.js:1:1)', ofUser: false }
  const error = blockedError({ silentMs, jobGraph, site, stack: [engine, user, engine] })
  const who = `TASK_BLOCKED: ${job}, operator 'spin' (uid 'spin', declared at job.ts:1:1) of vertex 'source', subtask 0 of 1`
  t.is(error.message, `${who}: the slot worker has answered nothing for 30004 ms; its code is at spin (/job.ts:2:3)`)
  t.is(error.operator, 'spin')
  t.is((error.cause as Error).stack, 'Error: the stack of the slot worker\n    at spin (/job.ts:2:3)')
  const idle = blockedError({ silentMs, jobGraph, site, stack: [engine] })
  t.is(
    idle.message,
    `${who}: the slot worker has answered nothing for 30004 ms; no code of the program is on its stack, which is at ${engine.text}`,
  )
})

test('what is not known is left out', (t) => {
  const text = 'the slot worker has answered nothing for 30004 ms'
  t.is(blockedError({ silentMs, jobGraph: undefined, site: undefined }).message, `TASK_BLOCKED: ${text}`)
  const building = blockedError({ silentMs, jobGraph, site: undefined, stack: [] })
  t.is(building.message, `TASK_BLOCKED: ${job}, while its program was evaluated: ${text}`)
  t.is(building.cause, undefined)
})

test('frames of code made at run time have no place', async (t) => {
  const frame = (functionName: string, url: string) => ({ functionName, url, line: 3, column: 4 })
  t.deepEqual(
    await locate([frame('ChainOutput', ''), frame('', 'file:///engine.js'), frame('f', 'node:fs'), frame('g', 'file:///x/artifact.mjs')]),
    [
      { text: '/engine.js:3:4', ofUser: false },
      { text: 'f (node:fs:3:4)', ofUser: false },
      { text: 'g (/x/artifact.mjs:3:4)', ofUser: true },
    ],
  )
})
