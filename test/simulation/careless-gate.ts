import type { ExchangeFactory, InputGate, Polled, StreamEvent } from '#taskmanager/exchange/exchange.js'
import { compareBarriers } from '#taskmanager/task/barrier-aligner.js'

type Barrier = Extract<StreamEvent, { kind: 'barrier' }>

/** Barriers are counted by channel, whatever checkpoint they are of: one that came first counts for a later one, too, as does a late one. */
export function anyBarrier(exchange: ExchangeFactory): ExchangeFactory {
  return {
    inputGate: (spec) => countingGate(exchange.inputGate(spec)),
    resultPartition: (spec) => exchange.resultPartition(spec),
  }
}

function countingGate(gate: InputGate): InputGate {
  const counted: Polled[] = []
  const came = new Set<number>()
  const ended = new Set<number>()
  let newest: Barrier | undefined

  const comes = (channel: number, barrier: Barrier): Polled => {
    const isNewer = !newest || compareBarriers(barrier, newest) > 0
    if (isNewer) newest = { ...barrier }
    const event = newest!
    if (isNewer) for (const earlier of came) if (earlier !== channel) counted.push({ kind: 'event', channel: earlier, event })
    came.add(channel)
    allCame()
    return { kind: 'event', channel, event }
  }
  const allCame = () => {
    for (let channel = 0; channel < gate.channelCount; channel++) if (!came.has(channel) && !ended.has(channel)) return
    came.clear()
  }
  return {
    channelCount: gate.channelCount,
    inputIndexOf: (channel) => gate.inputIndexOf(channel),
    poll() {
      const polled = counted.shift() ?? gate.poll()
      if (polled?.kind !== 'event') return polled
      const { channel, event } = polled
      if (event.kind === 'barrier' && event !== newest) return comes(channel, event)
      if (event.kind === 'end-of-partition') {
        ended.add(channel)
        allCame()
      }
      return polled
    },
    get hasInput() {
      return counted.length > 0 || gate.hasInput
    },
    block: (channel) => gate.block(channel),
    unblock: (channel) => gate.unblock(channel),
    get numBytesIn() {
      return gate.numBytesIn
    },
    get numRecordBytesIn() {
      return gate.numRecordBytesIn
    },
    close: () => gate.close(),
  }
}
