import type { BuiltProgram } from '#core/functions/build-phase.js'
import type { JobGraph } from '#protocol/graph/job-graph.js'

/** Evaluates a job's program in this thread and returns the functions it is made of. USER_CODE_LOAD_FAILED, PROGRAM_FAILED, GRAPH_NOT_DETERMINISTIC. */
export interface UserCodeLoader {
  load(jobGraph: JobGraph, artifactDirectory: string | undefined): Promise<BuiltProgram>
}
