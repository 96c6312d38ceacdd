import { type Clock, sleep } from '#core/clock.js'
import { FlottError, isFlottError } from '#core/errors.js'
import type { DrainResponse } from '#protocol/rest/drain.js'
import type { RestClusterClient } from '../submit/rest-cluster-client.js'
import { EXIT } from './exit-codes.js'
import type { Terminal } from './terminal.js'

const POLL_MS = 200
/** Well above any sensible taskmanager.drain.timeout, which is what ends it. */
const WAIT_MAX_MS = 3_600_000

/** Drains the TaskManager and waits until it has gone. It goes with its tasks when it can not be drained in time: EXIT.TIMEOUT. */
export async function drain(client: RestClusterClient, id: string, json: boolean, terminal: Terminal, clock: Clock): Promise<number> {
  const asked = await client.drainTaskManager(id)
  if (!json) terminal.note(`Draining TaskManager ${id}: ${slotsOf(asked)} in use.`)
  const deadline = clock.monotonicMs() + WAIT_MAX_MS
  for (let last = asked, told = ''; ; ) {
    const status = await statusOf(client, last)
    if (status.state !== 'REGISTERED' && status.state !== 'DRAINING') return ended(status, json, terminal)
    const waits = status.missing.join('; ')
    if (!json && waits !== told && waits !== '') terminal.note(`It waits: ${waits}.`)
    told = waits
    last = status
    if (clock.monotonicMs() > deadline) throw new FlottError('RPC_TIMEOUT', `${id} is still there; ${slotsOf(status)} in use`)
    await sleep(clock, POLL_MS)
  }
}

/** Of the process that was asked. Where it is known no more it went long ago, and nobody could be asked how. */
async function statusOf(client: RestClusterClient, last: DrainResponse): Promise<DrainResponse> {
  try {
    return await client.drainStatus(last['taskmanager-id'], last['process-id'])
  } catch (error) {
    if (isFlottError(error, 'NOT_FOUND')) return { ...last, state: last.slots === 0 ? 'DRAINED' : 'LOST', moving: false }
    throw error
  }
}

function ended(status: DrainResponse, json: boolean, terminal: Terminal): number {
  const { 'taskmanager-id': id, state, missing } = status
  if (json) terminal.out(JSON.stringify(status))
  else if (state === 'DRAINED') terminal.out(`TaskManager ${id} is drained and has ended.`)
  else {
    const why = missing.length > 0 ? `: ${missing.join('; ')}` : ''
    terminal.out(`TaskManager ${id} has ended with ${slotsOf(status)} in use${why}. Their tasks restart from the last checkpoint.`)
  }
  return state === 'DRAINED' ? EXIT.OK : state === 'NOT_DRAINED' ? EXIT.TIMEOUT : EXIT.FAILURE
}
function slotsOf({ slots }: DrainResponse): string {
  return slots === 1 ? '1 slot' : `${slots} slots`
}
