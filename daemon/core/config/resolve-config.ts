/** From settings as text to the configuration: each parsed by its kind, unknown keys and impossible combinations refused, all at once. */
import { FlottError } from '../errors.js'
import { nearest } from './nearest.js'
import { type Config, OPTIONS, type OptionKey } from './options.js'

/** One setting and where it came from: 'conf/config.yaml:12', 'environment FLOTT_REST_PORT', '-D'. */
export interface RawSetting {
  readonly key: string
  readonly value: string
  readonly from: string
}
export interface LoadedConfig {
  readonly config: Config
  /** The keys that somebody set, as text. */
  readonly explicit: Readonly<Partial<Record<OptionKey, string>>>
}

export const KNOWN_KEYS = Object.keys(OPTIONS) as readonly OptionKey[]

/** The value that a key has, as text: what somebody set, else the default. */
export function settingText(key: OptionKey, explicit: LoadedConfig['explicit']): string {
  return explicit[key] ?? OPTIONS[key].default
}

/** Parses settings that come from elsewhere (a job's, a test's). INVALID_CONFIG. */
export function configOf(settings: Readonly<Record<string, string>>, from = 'setting'): LoadedConfig {
  return resolveConfig(
    Object.entries(settings).map(([key, value]) => ({ key, value, from })),
    [],
  )
}

/** All settings, later ones over earlier ones, and the defaults; `mistakes`: those found before. INVALID_CONFIG. */
export function resolveConfig(settings: readonly RawSetting[], mistakes: string[]): LoadedConfig {
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

export function isOptionKey(key: string): key is OptionKey {
  return Object.hasOwn(OPTIONS, key)
}

export function didYouMean(key: string): string {
  return hint(nearest(key, KNOWN_KEYS))
}

export function hint(found: string | undefined): string {
  return found === undefined ? '' : `; did you mean ${found}?`
}
