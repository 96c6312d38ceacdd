/** One watermark out of those of all channels: the least of the active ones, strictly increasing (Flink: StatusWatermarkValve). */
export interface ValveOutput {
  watermark?: number
  idle?: boolean
}

export class WatermarkValve {
  readonly #watermarks: Float64Array
  readonly #idle: boolean[]
  readonly #ended: boolean[]
  #emitted = -Infinity
  #emittedIdle = false

  constructor(channelCount: number) {
    this.#watermarks = new Float64Array(channelCount).fill(-Infinity)
    this.#idle = new Array<boolean>(channelCount).fill(false)
    this.#ended = new Array<boolean>(channelCount).fill(false)
  }
  get current(): number {
    return this.#emitted
  }
  watermarkReceived(channel: number, timestamp: number): ValveOutput {
    if (timestamp > this.#watermarks[channel]!) this.#watermarks[channel] = timestamp
    return this.#advance()
  }
  statusReceived(channel: number, idle: boolean): ValveOutput {
    this.#idle[channel] = idle
    return this.#advance()
  }
  /** An ended channel holds nothing back. */
  channelEnded(channel: number): ValveOutput {
    this.#ended[channel] = true
    return this.#advance()
  }
  #advance(): ValveOutput {
    const output: ValveOutput = {}
    const live = [...this.#watermarks.keys()].filter((channel) => !this.#ended[channel])
    const active = live.filter((channel) => !this.#idle[channel])
    const idle = live.length > 0 && active.length === 0
    // When the last active channel turns idle, those that were ahead of it are no longer held back by it.
    const watermark =
      active.length > 0
        ? Math.min(...active.map((c) => this.#watermarks[c]!))
        : Math.max(-Infinity, ...live.map((c) => this.#watermarks[c]!))
    if (watermark > this.#emitted) {
      this.#emitted = watermark
      output.watermark = watermark
    }
    if (idle !== this.#emittedIdle) {
      this.#emittedIdle = idle
      output.idle = idle
    }
    return output
  }
}
