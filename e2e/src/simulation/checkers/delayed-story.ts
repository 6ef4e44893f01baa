import type { DelayChange, DeliveryHistory } from '../delivery-history.ts'
import { type History, type PartitionName, partitionName, type Send } from '../history.ts'

/** A delayed message that was acknowledged to its producer. */
export interface DelayedSend {
  readonly send: Send
  readonly number: number
  readonly partition: PartitionName
  /** Of the broker that holds it. */
  readonly node: string
}

export function delayedSends(history: History, { leaders }: DeliveryHistory): DelayedSend[] {
  const ids = new Map([...history.topics.values()].map(({ name, id }) => [name, id]))
  return history.sends.flatMap((send) => {
    const { delay, receipt, state, topic } = send
    if (delay === undefined || receipt === undefined || state !== 'ok') return []
    const partition = partitionName(ids.get(topic) ?? 0, receipt.partition)
    const node = leaders.get(partition) ?? ''
    return [{ send, number: receipt.offset, partition, node }]
  })
}

/** What was asked about it, in the order of time. */
export function changesOf(
  { delayChanges }: DeliveryHistory,
  { number, node }: DelayedSend,
): readonly DelayChange[] {
  return delayChanges.filter((change) => change.number === number && change.node === node)
}
