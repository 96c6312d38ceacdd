/** From positions in an unpacked artifact to those in the sources that it was bundled from, by the source map that it carries. */
import { readFile } from 'node:fs/promises'
import { SourceMap, type SourceMapPayload } from 'node:module'
import { basename } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ARTIFACT_FILE } from '#core/functions/artifact-directory.js'

/** A line and a column of a file, both from 1. */
export interface SourcePosition {
  readonly file: string
  readonly line: number
  readonly column: number
}

const MAP_MARK = '//# sourceMappingURL=data:application/json;base64,'

/** Whether the script of this URL is a job's program. */
export function isArtifactUrl(url: string): boolean {
  return url.startsWith('file:') && basename(new URL(url).pathname) === ARTIFACT_FILE
}

export class ArtifactLines {
  readonly #file: string
  #map: Promise<ReadMap | undefined> | undefined

  constructor(url: string) {
    this.#file = fileURLToPath(url) // Without its query.
  }
  /** The source position, or the given one where the map knows none. */
  async sourceOf(line: number, column: number): Promise<SourcePosition> {
    this.#map ??= readMap(this.#file).catch(() => undefined) // The artifact is gone, or has no map that can be read.
    const map = await this.#map
    const entry = map?.map.findEntry(line - 1, column - 1)
    if (!map || !entry || !('originalSource' in entry)) return { file: this.#file, line, column }
    const { originalSource, originalLine, originalColumn } = entry
    return { file: fileOf(originalSource, map.root), line: originalLine + 1, column: originalColumn + 1 }
  }
}

interface ReadMap {
  readonly map: SourceMap
  /** URL of the directory that its sources are in. */
  readonly root: string
}

async function readMap(file: string): Promise<ReadMap | undefined> {
  const text = await readFile(file, 'utf8')
  const at = text.lastIndexOf(MAP_MARK)
  if (at < 0) return undefined
  const json = Buffer.from(text.slice(at + MAP_MARK.length).split('\n', 1)[0]!, 'base64').toString('utf8')
  const payload = JSON.parse(json) as SourceMapPayload
  return { map: new SourceMap(payload), root: payload.sourceRoot ?? '' }
}

function fileOf(source: string, root: string): string {
  const url = URL.canParse(source, root || undefined) ? new URL(source, root || undefined) : undefined
  return url?.protocol === 'file:' ? fileURLToPath(url) : source
}
