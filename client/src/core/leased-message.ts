import type { PartitionNumber, TopicId } from '@popmq/protocol'
import type { Handle, PoppedMessage } from '../api/pop-consumer.ts'
import { formatHandle, type HandleParts } from './handle.ts'
import type { MessageSource, ReceivedMessage } from './received-message.ts'

/** What the messages of one lease share. */
export interface LeasedRun {
  readonly source: MessageSource
  readonly topicId: TopicId
  readonly partition: PartitionNumber
  /** base64url */
  readonly lease: string
  readonly attempt: number
  readonly leasedUntil: number
}

/** What a retried message has of its own: its offset and append time are those of its first copy. */
export interface RetriedCopy {
  /** The held number that the broker knows it by. */
  readonly number: number
  readonly firstAppendedAt: number
}

/** A received message with its lease. */
export class LeasedMessage implements PoppedMessage {
  readonly #message: ReceivedMessage
  readonly #run: LeasedRun
  readonly #retried: RetriedCopy | undefined

  constructor(message: ReceivedMessage, run: LeasedRun, retried?: RetriedCopy) {
    this.#message = message
    this.#run = run
    this.#retried = retried
  }

  get handle(): string {
    return formatHandle(this.parts)
  }
  /** What the handle says. */
  get parts(): HandleParts {
    const { topicId, partition, lease } = this.#run
    const number = this.#retried?.number ?? this.#message.offset
    return { topicId, partition, number, lease }
  }
  get leasedUntil(): number {
    return this.#run.leasedUntil
  }
  get attempt(): number {
    return this.#run.attempt
  }
  get appendedAt(): number {
    return this.#retried?.firstAppendedAt ?? this.#message.appendedAt
  }
  get topic(): string {
    return this.#message.topic
  }
  get partition(): number {
    return this.#message.partition
  }
  get offset(): number {
    return this.#message.offset
  }
  get id(): string {
    return this.#message.id
  }
  get key(): string | undefined {
    return this.#message.key
  }
  get tag(): string | undefined {
    return this.#message.tag
  }
  get headers(): Readonly<Record<string, string>> {
    return this.#message.headers
  }
  get dedupId(): string | undefined {
    return this.#message.dedupId
  }
  get value(): unknown {
    return this.#message.value
  }
  get bytes(): Uint8Array {
    return this.#message.bytes
  }
  get bornAt(): number {
    return this.#message.bornAt
  }
}

/** A handle as text, and what it says where that is known: then nothing need be read from the text. */
export interface NamedHandle {
  readonly handle: string
  readonly parts?: HandleParts | undefined
}

export function named(handle: Handle): NamedHandle {
  if (handle instanceof LeasedMessage) return handle
  return { handle: typeof handle === 'string' ? handle : handle.handle }
}
