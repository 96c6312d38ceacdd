/** A JobGraph as bytes: its blob, and what each TaskManager of the job receives. */
import type { JobGraph } from './job-graph.js'

export function encodeJobGraph(jobGraph: JobGraph): Uint8Array {
  return Buffer.from(JSON.stringify(jobGraph))
}
export function decodeJobGraph(bytes: Uint8Array): JobGraph {
  return JSON.parse(Buffer.from(bytes).toString()) as JobGraph
}
