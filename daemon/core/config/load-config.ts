/**
 * Configuration from the file, then the environment, then `-D`: each over the one before. Every mistake is reported at once, with its
 * file and line, the key, and the nearest known key (INVALID_CONFIG; daemons and the CLI exit with 78).
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { isScalar, LineCounter, parseDocument, visit } from 'yaml'
import { nearest } from './nearest.js'
import { hint, KNOWN_KEYS, type LoadedConfig, type RawSetting, resolveConfig } from './resolve-config.js'

export interface LoadOptions {
  /** Directory with config.yaml; a missing file counts as empty unless `fileRequired`. */
  readonly confDir?: string
  readonly fileRequired?: boolean
  readonly env?: Readonly<Record<string, string | undefined>>
  /** `key=value` texts. */
  readonly dynamic?: readonly string[]
}

const ENVIRONMENT = new Map(KNOWN_KEYS.map((key) => [`FLOTT_${key.toUpperCase().replace(/[.-]/g, '_')}`, key]))
/** Variables of the scripts that look like options but are none. */
const SCRIPT_VARIABLES = new Set([
  'FLOTT_HOME',
  'FLOTT_CONF_DIR',
  'FLOTT_NODE',
  'FLOTT_NODE_OPTIONS',
  'FLOTT_IDENT_STRING',
  'FLOTT_LOCK_FILE',
  'FLOTT_READY_FILE',
  'FLOTT_SSH_OPTS',
  'FLOTT_STOP_TIMEOUT_S',
  'FLOTT_ZK_HEAP_MB',
  'FLOTT_ZOOKEEPER_ID',
])

/** Those of programs, which take them along to the slots. */
const JOB_VARIABLES = 'FLOTT_JOB_'

export function loadConfig(options: LoadOptions): LoadedConfig {
  const mistakes: string[] = []
  const settings = [
    ...(options.confDir === undefined ? [] : fromFile(join(options.confDir, 'config.yaml'), options.fileRequired ?? false, mistakes)),
    ...fromEnvironment(options.env ?? {}, mistakes),
    ...fromDynamic(options.dynamic ?? [], mistakes),
  ]
  return resolveConfig(settings, mistakes)
}

function fromFile(path: string, required: boolean, mistakes: string[]): RawSetting[] {
  let source: string
  try {
    source = readFileSync(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || required)
      mistakes.push(`${path}: can not be read: ${(error as Error).message}`)
    return []
  }
  const lines = new LineCounter()
  const document = parseDocument(source, { lineCounter: lines, uniqueKeys: true })
  for (const error of document.errors) mistakes.push(`${path}:${lines.linePos(error.pos[0]).line}: ${error.message.split('\n')[0]}`)
  if (document.errors.length > 0) return []
  const settings: RawSetting[] = []
  visit(document, {
    Pair(_, pair, ancestors) {
      const prefix = ancestors.flatMap((node) => ('key' in node && isScalar(node.key) ? [String(node.key.value)] : []))
      const key = isScalar(pair.key) ? pair.key : undefined
      const from = `${path}:${lines.linePos(key?.range?.[0] ?? 0).line}`
      const name = [...prefix, String(key?.value)].join('.')
      if (isScalar(pair.value))
        settings.push({ key: name, value: pair.value.value === null ? '' : String(pair.value.source ?? pair.value.value), from })
      else if (pair.value === null) settings.push({ key: name, value: '', from })
    },
    Seq(_, node) {
      mistakes.push(`${path}:${lines.linePos(node.range?.[0] ?? 0).line}: a list is not expected here: write values separated by commas`)
    },
  })
  return settings
}

function fromEnvironment(env: Readonly<Record<string, string | undefined>>, mistakes: string[]): RawSetting[] {
  const settings: RawSetting[] = []
  for (const [name, value] of Object.entries(env)) {
    if (!name.startsWith('FLOTT_') || name.startsWith(JOB_VARIABLES) || SCRIPT_VARIABLES.has(name) || value === undefined) continue
    const key = ENVIRONMENT.get(name)
    if (key) settings.push({ key, value, from: `environment ${name}` })
    else mistakes.push(`environment: unknown variable ${name}${hint(nearest(name, [...ENVIRONMENT.keys()]))}`)
  }
  return settings
}

function fromDynamic(dynamic: readonly string[], mistakes: string[]): RawSetting[] {
  const settings: RawSetting[] = []
  for (const text of dynamic) {
    const at = text.indexOf('=')
    if (at <= 0) mistakes.push(`-D ${text}: expects -D key=value`)
    else settings.push({ key: text.slice(0, at).trim(), value: text.slice(at + 1), from: '-D' })
  }
  return settings
}
