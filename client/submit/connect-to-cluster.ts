import type { ClusterClient } from './cluster-client.js'

/** Loads HTTP at the first submission only: building a graph needs none. */
export async function connectToCluster(restUrl: string, options: { readonly pollMaxMs?: number } = {}): Promise<ClusterClient> {
  const { RestClusterClient } = await import('./rest-cluster-client.js')
  return new RestClusterClient({ restUrl, ...options })
}
