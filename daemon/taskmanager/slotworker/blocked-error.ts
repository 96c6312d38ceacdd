/** How a worker that answers nothing is told: job, vertex, subtask, operator, and the line of the user's code where it is. */
import { fileURLToPath } from 'node:url'
import { FlottError } from '#core/errors.js'
import type { JobGraph } from '#protocol/graph/job-graph.js'
import { ArtifactLines, isArtifactUrl } from '#usercode/artifact-lines.js'
import { describeSite, type LastSite } from '../task/slot-sites.js'
import type { WorkerFrame } from './worker-stack.js'

const FRAMES_MAX = 10

export interface Blockage {
  readonly silentMs: number
  /** Undefined in a worker that was given no tasks yet. */
  readonly jobGraph: JobGraph | undefined
  readonly site: LastSite | undefined
  /** Frames as `locate` gives them; undefined when there are none to be had. */
  readonly stack?: readonly LocatedFrame[] | undefined
}
export interface LocatedFrame {
  /** 'spin (/home/me/job.ts:12:5)' */
  readonly text: string
  readonly ofUser: boolean
}

/** TASK_BLOCKED. Its cause carries the stack, from the line where the worker is to the program's outermost one. */
export function blockedError({ silentMs, jobGraph, site, stack }: Blockage): FlottError {
  const who = whoBlocks(jobGraph, site)
  const operator = site?.operator === undefined ? undefined : jobGraph?.vertices[site.vertex]?.operators[site.operator]
  const where = whereItIs(stack)
  const text = `${who}the slot worker has answered nothing for ${Math.round(silentMs)} ms${where === undefined ? '' : `; ${where}`}`
  return new FlottError('TASK_BLOCKED', text, {
    ...(stack?.length ? { cause: stackError(stack) } : {}),
    ...(operator ? { operator: operator.uid } : {}),
  })
}

function whoBlocks(jobGraph: JobGraph | undefined, site: LastSite | undefined): string {
  if (!jobGraph) return ''
  return `job '${jobGraph.jobName}' (${jobGraph.jobId}), ${site ? describeSite(jobGraph, site) : 'while its program was evaluated'}: `
}
function whereItIs(stack: readonly LocatedFrame[] | undefined): string | undefined {
  const user = stack?.find(({ ofUser }) => ofUser)
  if (user) return `its code is at ${user.text}`
  const [innermost] = stack ?? []
  return innermost && `no code of the program is on its stack, which is at ${innermost.text}`
}
function stackError(stack: readonly LocatedFrame[]): Error {
  const error = new Error('the stack of the slot worker')
  const user = stack.filter(({ ofUser }) => ofUser)
  const shown = (user.length > 0 ? user : stack).slice(0, FRAMES_MAX)
  error.stack = [`Error: ${error.message}`, ...shown.map(({ text }) => `    at ${text}`)].join('\n')
  return error
}

/** Names the lines that the user wrote. Frames of code made at run time are left out: nobody can look at them. */
export async function locate(frames: readonly WorkerFrame[]): Promise<readonly LocatedFrame[]> {
  const lines = new Map<string, ArtifactLines>()
  const located: LocatedFrame[] = []
  for (const { functionName, url, line, column } of frames) {
    if (url === '') continue
    const ofUser = isArtifactUrl(url)
    if (ofUser && !lines.has(url)) lines.set(url, new ArtifactLines(url))
    const source = ofUser
      ? await lines.get(url)!.sourceOf(line, column)
      : { file: url.startsWith('file:') ? fileURLToPath(url) : url, line, column }
    const place = `${source.file}:${source.line}:${source.column}`
    located.push({ text: functionName === '' ? place : `${functionName} (${place})`, ofUser })
  }
  return located
}
