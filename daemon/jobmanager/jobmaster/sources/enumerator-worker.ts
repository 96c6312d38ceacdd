/** The thread of ThreadEnumeratorHost: one a job, with all of its enumerators. Ends with its parent's terminate(). */
import { parentPort, workerData } from 'node:worker_threads'
import { systemClock } from '#core/clock.js'
import { serializeError } from '#core/errors.js'
import type { JobGraph } from '#protocol/graph/job-graph.js'
import { ArtifactLoader } from '#usercode/program-loader.js'
import { EnumeratorEngine } from './enumerator-engine.js'
import type { FromEnumerators, ToEnumerators } from './enumerator-host.js'

export interface EnumeratorWorkerData {
  readonly jobGraph: JobGraph
  readonly artifactDirectory: string
}

const port = parentPort
if (!port) throw new Error('enumerator-worker is started as a worker thread')
const emit = (message: FromEnumerators) => port.postMessage(message)
const { jobGraph, artifactDirectory } = workerData as EnumeratorWorkerData
// What user code leaves unhandled is its failure, not the end of the process.
const fail = (error: unknown) => emit({ kind: 'failed', error: serializeError(error) })
process.on('uncaughtException', fail)
process.on('unhandledRejection', fail)

const early: ToEnumerators[] = []
let engine: EnumeratorEngine | undefined
port.on('message', (message: ToEnumerators) => {
  if (engine) engine.handle(message)
  else early.push(message)
})
try {
  engine = new EnumeratorEngine(await new ArtifactLoader(systemClock).load(jobGraph, artifactDirectory), systemClock, emit)
  for (const message of early) engine.handle(message)
} catch (error) {
  fail(error)
}
