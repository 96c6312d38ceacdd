/** What was asked for and not granted yet: each shared slot by at most one allocation, found from either side. */
export class RequestedSlots {
  readonly #keys = new Map<string, string>()
  readonly #allocations = new Map<string, string>()

  get count(): number {
    return this.#keys.size
  }
  has(key: string): boolean {
    return this.#allocations.has(key)
  }
  add(key: string, allocationId: string): void {
    this.#keys.set(allocationId, key)
    this.#allocations.set(key, allocationId)
  }
  /** The shared slot's key, which is asked for no more. */
  take(allocationId: string): string | undefined {
    const key = this.#keys.get(allocationId)
    this.#keys.delete(allocationId)
    if (key !== undefined) this.#allocations.delete(key)
    return key
  }
  /** The allocation by which it was asked for, and is no more. */
  takeKey(key: string): string | undefined {
    const allocationId = this.#allocations.get(key)
    this.#allocations.delete(key)
    if (allocationId !== undefined) this.#keys.delete(allocationId)
    return allocationId
  }
  clear(): void {
    this.#keys.clear()
    this.#allocations.clear()
  }
}
