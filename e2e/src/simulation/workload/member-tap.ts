import {
  commit,
  decodeBody,
  errorFrameType,
  type Frame,
  groupJoin,
  groupLeave,
  groupRelease,
  groupSession,
  readFrames,
  replyBit,
  replyBodyLimits,
  type ReplyOf,
  requestBodyLimits,
  type RequestOf,
} from '@popmq/protocol'
import type { Channel, ChannelReceiver, Transport } from '@popmq/transport'
import { type GroupBook, partitionName, type PartitionName } from '../history.ts'

export interface MemberTapParts {
  /** The process that the member runs in. */
  readonly member: string
  readonly book: GroupBook
  readonly monotonic: () => number
  /** How long the member may keep what is revoked; undefined: what it gives back need not be done. */
  readonly gracefulMs: number | undefined
}

type Commit = RequestOf<typeof commit>
type Asked = { readonly place: number; readonly commit?: Commit }

/** Listens to what a member and the coordinators say to each other, and writes it down. */
export class MemberTap {
  readonly #parts: MemberTapParts
  /** The newest grant told of each partition. */
  readonly #grants = new Map<PartitionName, number>()
  /** What it has by the last answer. */
  readonly #held = new Map<PartitionName, number>()
  /** Since when it knows that it is to give a grant back. */
  readonly #revokedMs = new Map<string, number>()
  #closingMs: number | undefined

  constructor(parts: MemberTapParts) {
    this.#parts = parts
  }

  /** The epoch under which the member has a partition, by what it was told; 0 when it was told of none. */
  epochOf(partition: PartitionName): number {
    return this.#grants.get(partition) ?? 0
  }

  /** The member is going to leave in good order. */
  closing(): void {
    this.#closingMs = this.#parts.monotonic()
  }

  transport(inner: Transport, isCoordinator: (address: string) => boolean): Transport {
    return {
      listen: (address, onChannel) => inner.listen(address, onChannel),
      connect: async (address, options) => {
        const channel = await inner.connect(address, options)
        return isCoordinator(address) ? this.#tapped(channel) : channel
      },
    }
  }

  #tapped(channel: Channel): Channel {
    const asked = new Map<number, Asked>()
    const heard = (receiver: ChannelReceiver): ChannelReceiver => ({
      message: (bytes) => {
        for (const frame of readFrames(bytes)) this.#answered(frame, asked)
        receiver.message(bytes)
      },
      drained: () => receiver.drained(),
      closed: (reason) => receiver.closed(reason),
    })
    return {
      remote: channel.remote,
      get bufferedBytes() {
        return channel.bufferedBytes
      },
      send: (parts) => {
        for (const frame of readFrames(Buffer.concat(parts))) this.#asks(frame, asked)
        channel.send(parts)
      },
      receive: (receiver) => channel.receive(heard(receiver)),
      pause: () => channel.pause(),
      resume: () => channel.resume(),
      close: (reason) => channel.close(reason),
    }
  }

  #asks({ type, correlationId, body }: Frame, asked: Map<number, Asked>): void {
    const { place } = this.#parts.book
    const fields = (): unknown => decodeBody(body, requestBodyLimits).fields
    if (type === groupSession.type || type === groupJoin.type) asked.set(correlationId, { place })
    else if (type === commit.type) asked.set(correlationId, { place, commit: fields() as Commit })
    else if (type === groupRelease.type) this.#releases(fields() as RequestOf<typeof groupRelease>)
    else if (type === groupLeave.type) this.#leaves()
  }

  #answered({ type, correlationId, body }: Frame, asked: Map<number, Asked>): void {
    const question = asked.get(correlationId)
    if (question === undefined || (type & replyBit) === 0) return
    asked.delete(correlationId)
    if (type === errorFrameType) return
    const { fields } = decodeBody(body, replyBodyLimits)
    if (type === (groupJoin.type | replyBit)) this.#held.clear()
    else if (question.commit === undefined)
      this.#told(fields as ReplyOf<typeof groupSession>, question.place)
    else this.#committed(fields as ReplyOf<typeof commit>, question.commit, question.place)
  }

  #told({ assignment }: ReplyOf<typeof groupSession>, asked: number): void {
    if (assignment === undefined) return
    const { member, book, monotonic } = this.#parts
    const before = new Map(this.#held)
    this.#held.clear()
    for (const { topicId, partition: number, epoch } of assignment.revoking) {
      const partition = partitionName(topicId, number)
      this.#held.set(partition, epoch)
      this.#newest(partition, epoch)
      const grant = `${partition} ${epoch}`
      if (!this.#revokedMs.has(grant)) this.#revokedMs.set(grant, monotonic())
    }
    for (const { topicId, partition: number, epoch, offset } of assignment.grants) {
      const partition = partitionName(topicId, number)
      this.#held.set(partition, epoch)
      this.#newest(partition, epoch)
      this.#revokedMs.delete(`${partition} ${epoch}`)
      const isNew = before.get(partition) !== epoch
      book.events.push({ kind: 'told', member, partition, epoch, offset, asked, isNew })
    }
  }

  /** An answer that was under way for long may name a grant from before. */
  #newest(partition: PartitionName, epoch: number): void {
    this.#grants.set(partition, Math.max(epoch, this.epochOf(partition)))
  }

  #committed({ refused }: ReplyOf<typeof commit>, { partitions }: Commit, asked: number): void {
    const { member, book } = this.#parts
    for (const { topicId, partition: number, epoch, offset } of partitions) {
      if (refused.some((each) => each.topicId === topicId && each.partition === number)) continue
      const partition = partitionName(topicId, number)
      book.events.push({ kind: 'committed', member, partition, epoch, offset, asked })
    }
  }

  #releases({ released }: RequestOf<typeof groupRelease>): void {
    const { gracefulMs, monotonic } = this.#parts
    for (const { topicId, partition: number, epoch } of released) {
      const partition = partitionName(topicId, number)
      const sinceMs = this.#revokedMs.get(`${partition} ${epoch}`)
      if (this.#held.get(partition) !== epoch) continue
      this.#held.delete(partition)
      if (gracefulMs === undefined || sinceMs === undefined) continue
      if (monotonic() < sinceMs + gracefulMs) this.#released(partition, epoch)
    }
  }

  #leaves(): void {
    const { gracefulMs, monotonic } = this.#parts
    if (gracefulMs === undefined || this.#closingMs === undefined) return
    if (monotonic() >= this.#closingMs + gracefulMs) return
    for (const [partition, epoch] of this.#held) this.#released(partition, epoch)
    this.#held.clear()
  }

  #released(partition: PartitionName, epoch: number): void {
    const { member, book } = this.#parts
    book.events.push({ kind: 'released', member, partition, epoch })
  }
}
