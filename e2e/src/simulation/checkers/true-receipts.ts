import {
  type Checker,
  type History,
  partitionName,
  type ReadMessage,
  type Send,
  type Violation,
} from '../history.ts'

/**
 * A receipt tells the truth: at its partition and offset lies the message, with its append time, whenever that offset
 * can be read at the end. The receipt of a duplicate names a message of the same dedup id.
 */
export const trueReceipts: Checker = (history) => {
  const sends = new Map(history.sends.map((send) => [send.value, send]))
  const found = lookUp(history)
  const violations: Violation[] = []
  for (const send of history.sends) {
    const { receipt } = send
    if (send.state !== 'ok' || receipt === undefined || receipt.offset < 0) continue
    const candidates = found(send.topic, receipt)
    if (candidates.length === 0) continue
    const holds = candidates.some((message) => {
      if (message.appendedAt !== receipt.appendedAt) return false
      if (!receipt.duplicate) return message.value === send.value
      return sends.get(message.value)?.dedupId === send.dedupId
    })
    // A topic made anew has other messages at the same offsets, and `received` may have been lost.
    if (holds || wasDeleted(history, send) || mayBeLost(history, send)) continue
    const what = `the receipt of ${short(send.value)} names ${send.topic}/${receipt.partition} at ${receipt.offset}, where ${short(candidates[0]?.value)} lies`
    violations.push({ checker: 'true-receipts', what })
  }
  return violations
}

type Place = Pick<NonNullable<Send['receipt']>, 'partition' | 'offset'>

function lookUp(history: History): (topic: string, place: Place) => ReadMessage[] {
  const idsByName = new Map<string, number[]>()
  for (const { id, name } of history.topics.values()) {
    idsByName.set(name, [...(idsByName.get(name) ?? []), id])
  }
  return (topic, { partition, offset }) =>
    (idsByName.get(topic) ?? []).flatMap((id) => {
      const final = history.final.get(partitionName(id, partition))
      const message = final?.messages[offset - final.low]
      return message === undefined ? [] : [message]
    })
}

function wasDeleted({ removals }: History, { topic, invokedMs }: Send): boolean {
  return removals.some(
    (removal) => removal.kind === 'delete' && removal.topic === topic && removal.atMs >= invokedMs,
  )
}

function mayBeLost({ crashes }: History, { acks, invokedMs }: Send): boolean {
  return acks === 'received' && crashes.some(({ atMs }) => atMs >= invokedMs)
}

function short(value: string | undefined): string {
  return value?.replace(/\.+$/, '') ?? 'nothing'
}
