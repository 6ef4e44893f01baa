import type { GroupBatch } from './api/group-consumer.ts'
import type { Message } from './api/message.ts'
import type { MessageBatch } from './api/pull-consumer.ts'
import type { TakenMessages } from './core/read-ahead.ts'

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
