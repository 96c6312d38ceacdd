import { dirname, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

// dist/client/graph/declared-at.js; with source maps on, frames name client/graph/declared-at.ts instead.
const DIST = resolve(dirname(fileURLToPath(import.meta.url)), '../..')
const OWN = [DIST, dirname(DIST)].flatMap((root) =>
  ['client/api/', 'client/graph/', 'client/connectors/', 'client/submit/', 'daemon/'].map((folder) => `${root}/${folder}`),
)

/** The line of the program that is calling the API: 'src/job.ts:12:5', relative to the working directory where it lies below it. */
export function callingLine(): string | undefined {
  const limit = Error.stackTraceLimit
  Error.stackTraceLimit = 30
  const stack = new Error().stack ?? ''
  Error.stackTraceLimit = limit
  for (const frame of stack.split('\n').slice(1)) {
    const match = /((?:file:\/\/)?\/[^()]*?)(?:\?[^():]*)?:(\d+):(\d+)\)?$/.exec(frame)
    if (!match) continue
    const path = match[1]!.startsWith('file://') ? fileURLToPath(match[1]!) : match[1]!
    if (OWN.some((folder) => path.startsWith(folder))) continue
    const below = relative(process.cwd(), path)
    return `${below.startsWith('..') ? path : below}:${match[2]}:${match[3]}`
  }
  return undefined
}
