export interface ProcessUsage {
  readonly rssBytes: number
  readonly heapUsedBytes: number
  /** Since the process started, user and system, all threads. */
  readonly cpuSeconds: number
}

export function processUsage(): ProcessUsage {
  const memory = process.memoryUsage()
  const cpu = process.cpuUsage()
  return { rssBytes: memory.rss, heapUsedBytes: memory.heapUsed, cpuSeconds: (cpu.user + cpu.system) / 1e6 }
}
