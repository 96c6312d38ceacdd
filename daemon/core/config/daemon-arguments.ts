import { parseArgs } from 'node:util'
import { FlottError } from '../errors.js'

export interface DaemonArguments {
  /** Directory with config.yaml. */
  readonly confDir: string | undefined
  /** `key=value` texts, in order. */
  readonly dynamic: readonly string[]
}

/** What a daemon is started with: `--configDir DIR -D key=value …`. INVALID_CONFIG. */
export function parseDaemonArguments(argv: readonly string[]): DaemonArguments {
  try {
    const { values } = parseArgs({
      args: [...argv],
      options: { configDir: { type: 'string', short: 'c' }, define: { type: 'string', short: 'D', multiple: true } },
    })
    return { confDir: values.configDir, dynamic: values.define ?? [] }
  } catch (cause) {
    throw new FlottError('INVALID_CONFIG', `usage: --configDir DIR [-D key=value …]: ${(cause as Error).message}`, { cause })
  }
}
