import type { ClusterClient } from './cluster-client.js'

/** What rest-cluster-client.ts exports. */
export type RestClusterClientConstructor = new (options: { restUrl: string; token?: string }) => ClusterClient

const REST_CLUSTER_CLIENT: string = './rest-cluster-client.js' // Loaded at the first submission: building a graph needs no HTTP.

export async function connectToCluster(restUrl: string, token?: string): Promise<ClusterClient> {
  const { RestClusterClient } = (await import(REST_CLUSTER_CLIENT)) as { RestClusterClient: RestClusterClientConstructor }
  return new RestClusterClient({ restUrl, ...(token === undefined ? {} : { token }) })
}
