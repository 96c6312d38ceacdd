import { resolve } from 'node:path'
import { FlottError } from '#core/errors.js'
import { bundle, moduleFile } from './bundle.js'
import type { ClusterClient } from './cluster-client.js'
import { connectToCluster } from './connect-to-cluster.js'
import { ArtifactExecutor, type JobExecutor } from './job-executor.js'
import { startLocalCluster } from './local-executor.js'

/** A program started by `node`: the file that it was started with is bundled, once. */
const bundles = new Map<string, Promise<Uint8Array>>()

function artifactOf(module: string | undefined): Promise<Uint8Array> {
  const file = module === undefined ? process.argv[1] : moduleFile(module, undefined)
  if (file === undefined) throw new FlottError('BUNDLE_FAILED', 'the program has no file: start it with node FILE, or with flott run')
  const path = resolve(file)
  const known = bundles.get(path) ?? bundle(path).then(({ code }) => code)
  bundles.set(path, known)
  return known
}

export function localExecutor(): JobExecutor {
  return new ArtifactExecutor({
    artifactOf,
    connect(jobGraph) {
      if (!jobGraph) throw new FlottError('JOB_NOT_FOUND', 'a cluster within the program knows no other jobs: use createRemoteEnvironment')
      return startLocalCluster(jobGraph)
    },
  })
}

export function remoteExecutor(host: string, port: number): JobExecutor {
  let client: Promise<ClusterClient> | undefined
  return new ArtifactExecutor({
    artifactOf,
    connect() {
      client ??= connectToCluster(`http://${host.includes(':') ? `[${host}]` : host}:${port}`)
      return client
    },
  })
}
