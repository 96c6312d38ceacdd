import type { RestClusterClient } from '../submit/rest-cluster-client.js'
import { progressLines } from './progress.js'
import { RecordRates } from './record-rates.js'
import type { Terminal } from './terminal.js'

/** Without a job: the cluster. With one: its vertices, records and checkpoints. */
export async function status(client: RestClusterClient, jobId: string | undefined, json: boolean, terminal: Terminal): Promise<void> {
  if (jobId !== undefined) {
    const [job, checkpoints] = await Promise.all([client.describeJob(jobId), client.checkpoints(jobId)])
    if (json) terminal.out(JSON.stringify({ ...job, checkpoints }))
    else for (const line of progressLines({ job, checkpoints }, new RecordRates())) terminal.out(line)
    return
  }
  const [overview, { taskmanagers }, { jobs }] = await Promise.all([client.overview(), client.listTaskManagers(), client.listJobs()])
  if (json) {
    terminal.out(JSON.stringify({ ...overview, taskManagers: taskmanagers, jobs }))
    return
  }
  const { leader } = overview
  terminal.out(`Flott ${overview['flott-version']}, led by ${leader['jobmanager-id']} (${leader.address}), epoch ${leader.epoch}`)
  terminal.out(`${overview['taskmanagers']} TaskManagers, ${overview['slots-available']} of ${overview['slots-total']} slots free`)
  for (const tm of taskmanagers) {
    const memory = `${Math.round(tm.memoryConfiguration.slotMemory / 2 ** 20)} MiB a slot`
    terminal.out(
      `  ${tm.id}  ${tm.path}  ${tm.freeSlots}/${tm.slotsNumber} slots free, ${memory}, ${tm.hardware.cpuCores} cores${tm.blocked ? ', is being drained' : ''}`,
    )
  }
  terminal.out(
    `${overview['jobs-running']} jobs run, ${overview['jobs-finished']} finished, ${overview['jobs-cancelled']} cancelled, ${overview['jobs-failed']} failed`,
  )
}
