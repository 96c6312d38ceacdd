import systeminformation from 'systeminformation'

export interface Hardware {
  readonly cpuCores: number
  readonly physicalMemoryBytes: number
  readonly freeMemoryBytes: number
  readonly cpuModel: string
  readonly os: string
}

/** The machine as it is now. */
export async function describeHardware(): Promise<Hardware> {
  const [cpu, memory, os] = await Promise.all([systeminformation.cpu(), systeminformation.mem(), systeminformation.osInfo()])
  return {
    cpuCores: cpu.cores,
    physicalMemoryBytes: memory.total,
    freeMemoryBytes: memory.available,
    cpuModel: [cpu.manufacturer, cpu.brand].filter(Boolean).join(' '),
    os: `${os.distro} ${os.release} (${os.platform} ${os.kernel}, ${os.arch})`,
  }
}
