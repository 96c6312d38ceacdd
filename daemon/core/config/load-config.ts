/**
 * Configuration from the file, then the environment, then `-D`: each over the one before. Every mistake is reported at once, with its
 * file and line, the key, and the nearest known key (INVALID_CONFIG; daemons and the CLI exit with 78).
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { isScalar, LineCounter, parseDocument, visit } from 'yaml'
import { FlottError } from '../errors.js'
import { nearest } from './nearest.js'
import { type Config, OPTIONS, type OptionKey } from './options.js'

/** One setting and where it came from: 'conf/config.yaml:12', 'environment FLOTT_REST_PORT', '-D'. */
export interface RawSetting {
  readonly key: string
  readonly value: string
  readonly from: string
}
export interface LoadOptions {
  /** Directory with config.yaml; a missing file counts as empty unless `fileRequired`. */
  readonly confDir?: string
  readonly fileRequired?: boolean
  readonly env?: Readonly<Record<string, string | undefined>>
  /** `key=value` texts. */
  readonly dynamic?: readonly string[]
}
export interface LoadedConfig {
  readonly config: Config
  /** The keys that somebody set, as text. */
  readonly explicit: Readonly<Partial<Record<OptionKey, string>>>
}

export const KNOWN_KEYS = Object.keys(OPTIONS) as readonly OptionKey[]
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
  return resolve(settings, mistakes)
}

/** Parses settings that come from elsewhere (a job's, a test's). INVALID_CONFIG. */
export function configOf(settings: Readonly<Record<string, string>>, from = 'setting'): LoadedConfig {
  return resolve(
    Object.entries(settings).map(([key, value]) => ({ key, value, from })),
    [],
  )
}

function resolve(settings: readonly RawSetting[], mistakes: string[]): LoadedConfig {
  const values: Record<string, unknown> = {}
  const explicit: Partial<Record<OptionKey, string>> = {}
  const origin = new Map<string, string>()
  for (const key of KNOWN_KEYS) values[key] = OPTIONS[key].kind.parse(OPTIONS[key].default)
  for (const { key, value, from } of settings) {
    if (!isOptionKey(key)) {
      mistakes.push(`${from}: unknown key '${key}'${didYouMean(key)}`)
      continue
    }
    origin.set(key, from)
    try {
      values[key] = OPTIONS[key].kind.parse(value)
      explicit[key] = value
    } catch (error) {
      mistakes.push(`${from}: ${key} ${(error as Error).message}, not '${value}'`)
    }
  }
  const config = values as Config
  if (mistakes.length === 0) mistakes.push(...impossible(config, (key) => origin.get(key) ?? 'default'))
  if (mistakes.length > 0) throw new FlottError('INVALID_CONFIG', mistakes.join('\n'))
  return { config: Object.freeze(config), explicit: Object.freeze(explicit) }
}

/** Combinations that can not work. */
function impossible(config: Config, from: (key: OptionKey) => string): string[] {
  const found: string[] = []
  const refuse = (key: OptionKey, why: string) => found.push(`${from(key)}: ${key} ${why}`)
  if (config['heartbeat.timeout'] <= config['heartbeat.interval']) refuse('heartbeat.timeout', 'must be above heartbeat.interval')
  if (config['heartbeat.interval'] < 1) refuse('heartbeat.interval', 'must be at least 1 ms')
  if (config['high-availability.type'] === 'zookeeper' && config['high-availability.zookeeper.quorum'].length === 0)
    refuse('high-availability.zookeeper.quorum', 'must name the servers when high-availability.type is zookeeper')
  if (!/^\/[^/]/.test(config['high-availability.zookeeper.path.root']))
    refuse('high-availability.zookeeper.path.root', "must begin with '/' and name a node")
  if (!/^[A-Za-z0-9._-]+$/.test(config['high-availability.cluster-id'].replace(/^\//, '')))
    refuse('high-availability.cluster-id', 'may have letters, digits, dot, dash and underscore')
  if (config['high-availability.zookeeper.client.acl'] === 'creator' && config['high-availability.zookeeper.client.authorization'] === '')
    refuse('high-availability.zookeeper.client.authorization', 'must be set when the acl is creator')
  if (config['taskmanager.memory.managed.size'] / config['taskmanager.numberOfTaskSlots'] < 32 * 2 ** 20)
    refuse('taskmanager.memory.managed.size', 'leaves less than 32 mb for each of taskmanager.numberOfTaskSlots')
  const segment = config['taskmanager.memory.segment-size']
  if (segment < 4096 || segment > 2 ** 20 || segment % 8 !== 0)
    refuse('taskmanager.memory.segment-size', 'must be from 4 kb to 1 mb and a multiple of 8 bytes')
  const max = config['pipeline.max-parallelism']
  if (max === 0) refuse('pipeline.max-parallelism', 'must be -1 or at least 1')
  const parallelism = config['parallelism.default']
  if (max > 0 && parallelism > max) refuse('parallelism.default', `is ${parallelism}, above pipeline.max-parallelism (${max})`)
  const interval = config['execution.checkpointing.interval']
  if (interval > 0 && interval < 10) refuse('execution.checkpointing.interval', 'must be at least 10 ms')
  try {
    OPTIONS['jobmanager.rpc.port'].kind.parse(config['rest.bind-port'] || '0')
  } catch (error) {
    refuse('rest.bind-port', `${(error as Error).message}`)
  }
  return found
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

export function isOptionKey(key: string): key is OptionKey {
  return Object.hasOwn(OPTIONS, key)
}

export function didYouMean(key: string): string {
  return hint(nearest(key, KNOWN_KEYS))
}

function hint(found: string | undefined): string {
  return found === undefined ? '' : `; did you mean ${found}?`
}
