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

export interface LeasedPlace {
  /** What the broker knows it by: its offset, or its held number. */
  readonly number: number
  /** When the first copy was appended, where this is another one. */
  readonly appendedAt: number | undefined
}

/** A received message with its lease. */
export class LeasedMessage implements PoppedMessage {
  readonly #message: ReceivedMessage
  readonly #run: LeasedRun
  readonly #place: LeasedPlace

  constructor(message: ReceivedMessage, run: LeasedRun, place: LeasedPlace) {
    this.#message = message
    this.#run = run
    this.#place = place
  }

  get handle(): string {
    return formatHandle(this.parts)
  }
  /** What the handle says. */
  get parts(): HandleParts {
    const { topicId, partition, lease } = this.#run
    return { topicId, partition, number: this.#place.number, lease }
  }
  get leasedUntil(): number {
    return this.#run.leasedUntil
  }
  get attempt(): number {
    return this.#run.attempt
  }
  get appendedAt(): number {
    return this.#place.appendedAt ?? this.#message.appendedAt
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
