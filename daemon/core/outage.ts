import type { Logger } from './logger.js'

/** What is tried again and again, several times a second: its failure is told when it begins and when the reason changes, not each time. */
export class Outage {
  #told: string | undefined

  constructor(private readonly logger: Logger) {}

  failed(text: string, error: unknown, fields: object = {}): void {
    const reason = `${text}: ${error instanceof Error ? error.message : String(error)}`
    const level = reason === this.#told ? 'debug' : 'warn'
    this.#told = reason
    this.logger[level](text, { ...fields, error })
  }
  over(text: string, fields: object = {}): void {
    if (this.#told === undefined) return
    this.#told = undefined
    this.logger.info(text, fields)
  }
}
