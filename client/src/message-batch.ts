import type { GroupBatch } from './api/group-consumer.ts'
import type { Message } from './api/message.ts'
import type { MessageBatch } from './api/pull-consumer.ts'
import type { LeasedMessage } from './core/leased-message.ts'
import type { TakenMessages } from './core/read-ahead.ts'
import { byKey } from './set-pages.ts'

/** All messages are listed only for who asks for them: who goes by partition need not pay for a second list. */
export function toBatch(taken: readonly TakenMessages[]): MessageBatch {
  const partitions = taken.map(({ reader: { topic, partition }, messages, next }) => {
    return { topic, partition, messages, next }
  })
  let all: readonly Message[] | undefined
  return {
    partitions,
    get messages() {
      return (all ??= partitions.flatMap(({ messages }) => messages))
    },
  }
}

/** The same batch as a member gets it. */
export function withCommit(batch: MessageBatch, commit: GroupBatch['commit']): GroupBatch {
  return {
    partitions: batch.partitions,
    get messages() {
      return batch.messages
    },
    commit,
  }
}

/** Of retried messages there is no offset to read on at: they are settled one by one. */
const noOffset = -1

/** A batch of retried messages, as a member gets it. */
export function retriedBatch(
  messages: readonly LeasedMessage[],
  commit: GroupBatch['commit'],
): GroupBatch {
  const places = byKey(messages, ({ topic, partition }) => `${topic}/${partition}`)
  const partitions = [...places.values()].flatMap((ofPlace) => {
    const [first] = ofPlace
    if (first === undefined) return []
    const { topic, partition } = first
    return [{ topic, partition, messages: ofPlace, next: noOffset }]
  })
  return { partitions, messages, commit }
}
