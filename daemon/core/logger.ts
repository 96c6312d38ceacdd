import { pino } from 'pino'

/** Constant text plus fields: `logger.info('slot offered', { slot, job })`. */
export interface Logger {
  debug(text: string, fields?: object): void
  info(text: string, fields?: object): void
  warn(text: string, fields?: object): void
  error(text: string, fields?: object): void
  child(fields: object): Logger
}

export const silentLogger: Logger = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  child: () => silentLogger,
}

type Sink = ReturnType<typeof pino>

function over(sink: Sink): Logger {
  return {
    debug: (text, fields) => sink.debug(fields ?? {}, text),
    info: (text, fields) => sink.info(fields ?? {}, text),
    warn: (text, fields) => sink.warn(fields ?? {}, text),
    error: (text, fields) => sink.error(fields ?? {}, text),
    child: (fields) => over(sink.child(fields)),
  }
}

/** One JSON line a record on the destination (standard error unless said otherwise). `error` and `cause` fields are printed with stack. */
export function createLogger(options: { level: string; fields?: object; destination?: { write(line: string): void } }): Logger {
  return over(
    pino(
      {
        level: options.level,
        base: options.fields ?? {},
        timestamp: pino.stdTimeFunctions.isoTime,
        formatters: { level: (label) => ({ level: label }) },
        serializers: { error: pino.stdSerializers.err, cause: pino.stdSerializers.err },
      },
      options.destination ?? process.stderr,
    ),
  )
}
