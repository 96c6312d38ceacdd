/** The kinds of option values: how a text becomes a value, what the API takes, and how the help names it. */
import { type Duration, millis } from '../duration.js'

export interface OptionKind<V, I = V> {
  /** 'duration', 'memory size', 'yes or no' …: for help and errors. */
  readonly label: string
  /** Throws an Error whose message says what would be right. */
  parse(text: string): V
  /** Marks what the API takes for it: never there at run time. */
  readonly input?: I
}

export const duration: OptionKind<number, Duration> = {
  label: 'duration',
  parse(text) {
    const match = /^(\d+(?:\.\d+)?)\s*(ms|milliseconds?|s|sec|seconds?|min|minutes?|h|hours?|d|days?)?$/.exec(text.trim())
    if (!match) throw new Error(`expects a duration such as 500 ms, 5 s, 1 min, 2 h or 1 d`)
    const unit = match[2] ?? 'ms'
    const short = unit.startsWith('min') ? 'min' : unit === 'ms' || unit.startsWith('milli') ? 'ms' : (unit[0] as 's' | 'h' | 'd')
    return millis(`${Number(match[1])}${short}`)
  },
}

const BYTES: Readonly<Record<string, number>> = { b: 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, t: 2 ** 40 }

/** In bytes. */
export const memorySize: OptionKind<number, number | string> = {
  label: 'memory size',
  parse(text) {
    const match = /^(\d+(?:\.\d+)?)\s*(b|k|kb|kib|m|mb|mib|g|gb|gib|t|tb|tib)?(?:ytes)?$/i.exec(text.trim())
    if (!match) throw new Error('expects a size such as 64 mb, 512 mib or 2 g')
    return Math.round(Number(match[1]) * BYTES[(match[2] ?? 'b')[0]!.toLowerCase()]!)
  },
}

export function integer(min: number, max = Number.MAX_SAFE_INTEGER): OptionKind<number> {
  return {
    label: 'whole number',
    parse(text) {
      const value = /^-?\d+$/.test(text.trim()) ? Number(text) : Number.NaN
      if (!(value >= min && value <= max)) throw new Error(`expects a whole number from ${min} to ${max}`)
      return value
    },
  }
}

export function number(min: number, max = Number.MAX_VALUE): OptionKind<number> {
  return {
    label: 'number',
    parse(text) {
      const value = text.trim() === '' ? Number.NaN : Number(text)
      if (!(value >= min && value <= max)) throw new Error(`expects a number from ${min} to ${max}`)
      return value
    },
  }
}

export const boolean: OptionKind<boolean> = {
  label: 'true or false',
  parse(text) {
    const lower = text.trim().toLowerCase()
    if (lower !== 'true' && lower !== 'false') throw new Error('expects true or false')
    return lower === 'true'
  },
}

/** Empty means: not set. */
export const text: OptionKind<string> = { label: 'text', parse: (value) => value.trim() }

export function oneOf<const L extends string>(...values: readonly L[]): OptionKind<L, L> {
  return {
    label: values.join(' | '),
    parse(value) {
      const found = values.find((v) => v.toLowerCase() === value.trim().toLowerCase())
      if (found === undefined) throw new Error(`expects one of ${values.join(', ')}`)
      return found
    },
  }
}

export interface PortRange {
  readonly from: number
  readonly to: number
}
/** One port or a range, '8081' or '8081-8090'; 0: any free port. */
export const portRange: OptionKind<PortRange, number | string> = {
  label: 'port or port range',
  parse(value) {
    const match = /^(\d+)(?:\s*-\s*(\d+))?$/.exec(value.trim())
    const from = Number(match?.[1])
    const to = Number(match?.[2] ?? match?.[1])
    if (!match || from > to || to > 65_535) throw new Error('expects a port (0 to 65535) or a range such as 8081-8090')
    return { from, to }
  },
}

/** host:port, comma separated; empty means none. */
export const hostPorts: OptionKind<readonly string[], string> = {
  label: 'host:port list',
  parse(value) {
    const items = value
      .split(/[,;]/)
      .map((item) => item.trim())
      .filter((item) => item !== '')
    for (const item of items)
      if (!/^(\[[0-9a-fA-F:]+\]|[^:\s]+):\d{1,5}$/.test(item)) throw new Error(`expects host:port,host:port…; '${item}' is none`)
    return items
  },
}
