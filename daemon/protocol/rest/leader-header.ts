/** Who answers, in each answer that a leader gave: its epoch and its id, so that who asks knows a late answer of an earlier leader. */
import { type Epoch, formatEpoch, parseEpoch } from '#core/epoch.js'
import type { LeaderInfo } from '../ha/facts.js'

export const LEADER_HEADER = 'x-flott-leader'

export type AnsweringLeader = Pick<LeaderInfo, 'jobManagerId' | 'epoch'>

export function formatLeader({ epoch, jobManagerId }: AnsweringLeader): string {
  return `${formatEpoch(epoch)} ${encodeURIComponent(jobManagerId)}`
}
/** Undefined where it is none of ours. */
export function parseLeader(text: string): AnsweringLeader | undefined {
  const [epochText = '', id = ''] = text.split(' ')
  try {
    const epoch: Epoch = parseEpoch(epochText)
    return { epoch, jobManagerId: decodeURIComponent(id) }
  } catch {
    return undefined
  }
}
