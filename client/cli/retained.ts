/** What jobs that have ended have left: `flott list --retained`, `flott savepoint --dispose`. */
import type { RetainedCheckpointItem } from '#protocol/rest/retained-checkpoints.js'
import type { RestClusterClient } from '../submit/rest-cluster-client.js'
import { dateOf } from './list.js'
import type { Terminal } from './terminal.js'

export async function listRetained(client: RestClusterClient, json: boolean, terminal: Terminal): Promise<void> {
  const { checkpoints } = await client.retainedCheckpoints()
  if (json) return terminal.out(JSON.stringify(checkpoints))
  if (checkpoints.length === 0) return terminal.out('No retained checkpoints.')
  terminal.out('------------------ Retained Checkpoints ------------------')
  for (const checkpoint of checkpoints) terminal.out(retainedLine(checkpoint))
}

/** As a job in `flott list`, and with what -s takes in the place of its id. */
function retainedLine(checkpoint: RetainedCheckpointItem): string {
  const { external_path: path, 'job-name': name, 'job-status': status, completion_timestamp: time, state_size: size } = checkpoint
  if (checkpoint.failure_message !== undefined) return `(unreadable) : ${path} : ${name} (${status}) ${checkpoint.failure_message}`
  return `${dateOf(time)} : ${path} : ${name} (${status}) ${size} bytes`
}

export async function dispose(client: RestClusterClient, path: string, json: boolean, terminal: Terminal): Promise<void> {
  const disposed = await client.disposeCheckpoint(path)
  if (json) terminal.out(JSON.stringify({ disposed }))
  else for (const gone of disposed) terminal.out(`Disposed of ${gone}.`)
}
