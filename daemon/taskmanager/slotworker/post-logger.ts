import { serializeError } from '#core/errors.js'
import type { Logger } from '#core/logger.js'
import type { FromSlotWorker } from './protocol.js'

type Level = 'debug' | 'info' | 'warn' | 'error'
const LEVELS: readonly Level[] = ['debug', 'info', 'warn', 'error']

/** Logs by message, since the main thread owns the log. Errors among the fields travel as plain data. */
export class PostLogger implements Logger {
  constructor(
    private readonly post: (message: FromSlotWorker) => void,
    private readonly level: string,
    private readonly fields: object = {},
  ) {}
  debug(text: string, fields?: object): void {
    this.#log('debug', text, fields)
  }
  info(text: string, fields?: object): void {
    this.#log('info', text, fields)
  }
  warn(text: string, fields?: object): void {
    this.#log('warn', text, fields)
  }
  error(text: string, fields?: object): void {
    this.#log('error', text, fields)
  }
  child(fields: object): Logger {
    return new PostLogger(this.post, this.level, { ...this.fields, ...fields })
  }
  #log(level: Level, text: string, fields?: object): void {
    if (LEVELS.indexOf(level) < LEVELS.indexOf(this.level as Level)) return
    const all = { ...this.fields, ...fields }
    this.post({ kind: 'log', level, text, fields: Object.fromEntries(Object.entries(all).map(([name, value]) => [name, plain(value)])) })
  }
}

function plain(value: unknown): unknown {
  if (value instanceof Error) return serializeError(value)
  return typeof value === 'function' || typeof value === 'symbol' ? String(value) : value
}
