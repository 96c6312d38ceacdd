/** A binary heap of time stamps, the earliest on top. */
export class TimeHeap {
  #times: number[] = []

  get size(): number {
    return this.#times.length
  }
  peek(): number | undefined {
    return this.#times[0]
  }
  push(time: number): void {
    const times = this.#times
    let at = times.length
    times.push(time)
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (times[parent]! <= time) break
      times[at] = times[parent]!
      at = parent
    }
    times[at] = time
  }
  pop(): number | undefined {
    const times = this.#times
    const top = times[0]
    const last = times.pop()
    if (last !== undefined && times.length > 0) this.#sink(last)
    return top
  }
  rebuild(times: Iterable<number>): void {
    this.#times = Array.from(times).sort((a, b) => a - b)
  }
  #sink(time: number): void {
    const times = this.#times
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= times.length) break
      if (child + 1 < times.length && times[child + 1]! < times[child]!) child++
      if (times[child]! >= time) break
      times[at] = times[child]!
      at = child
    }
    times[at] = time
  }
}
