import { assert, type Branded } from '@popmq/kit'

/** Byte position in a commit log. */
export type LogPosition = Branded<number, 'LogPosition'>
/** Index of a message inside one partition, from 0. */
export type Offset = Branded<number, 'Offset'>
/** Number of a topic: never reused, so a topic deleted and made again is another topic. 1..2^32−1. */
export type TopicId = Branded<number, 'TopicId'>
/** Index of a partition inside its topic, from 0. */
export type PartitionNumber = Branded<number, 'PartitionNumber'>
/** Number that grows when ownership changes; older ones are fenced. 1..2^32−1. */
export type Epoch = Branded<number, 'Epoch'>
/** Number of a consumer group, given by the coordinator, never reused. 1..2^32−1. */
export type GroupId = Branded<number, 'GroupId'>
/** Number of a producer, given by the coordinator, never reused. 1..2^48−1. */
export type ProducerId = Branded<number, 'ProducerId'>
/** Ms since 1970. */
export type TimeMs = number

export const logPosition = (value: number): LogPosition =>
  whole(value, 'a log position') as LogPosition
export const offset = (value: number): Offset => whole(value, 'an offset') as Offset
export const topicId = (value: number): TopicId => whole(value, 'a topic id') as TopicId
export const partitionNumber = (value: number): PartitionNumber =>
  whole(value, 'a partition number') as PartitionNumber
export const groupId = (value: number): GroupId => whole(value, 'a group id') as GroupId
export const epoch = (value: number): Epoch => whole(value, 'an epoch') as Epoch
export const producerId = (value: number): ProducerId => whole(value, 'a producer id') as ProducerId

function whole(value: number, what: string): number {
  // The sentence is made only when it is needed: this stands on every path that a message takes.
  if (!(Number.isSafeInteger(value) && value >= 0))
    assert(false, `${what} is a whole number from 0 to 2^53−1, got ${value}`)
  return value
}

/** Names one partition of one topic incarnation in a single number, fit as a Map key: id × 1,024 + partition. */
export type PartitionKey = Branded<number, 'PartitionKey'>

const partitionsPerTopic = 1_024

export function partitionKey(topic: TopicId, partition: PartitionNumber): PartitionKey {
  assert(partition < partitionsPerTopic, 'a partition number is below 1,024')
  return (topic * partitionsPerTopic + partition) as PartitionKey
}

export function topicOfKey(key: PartitionKey): TopicId {
  return topicId(Math.floor(key / partitionsPerTopic))
}

export function partitionOfKey(key: PartitionKey): PartitionNumber {
  return partitionNumber(key % partitionsPerTopic)
}

/** The key of every partition that a topic can have. */
export function* keysOfTopic(topic: TopicId): Generator<PartitionKey> {
  for (let partition = 0; partition < partitionsPerTopic; partition += 1) {
    yield (topic * partitionsPerTopic + partition) as PartitionKey
  }
}

/**
 * Held records (retries, delayed messages) have no place in a partition: their offset is a number of their own, from 2^52
 * on, that each replica set gives out in order. So one number tells which of both it is.
 */
export const firstHeldNumber = 2 ** 52

/** Whether an offset is the number of a held record. */
export function isHeldNumber(value: number): boolean {
  return value >= firstHeldNumber
}

/** Where a replica set counts its held records, as if they were a partition. */
export const heldKey = 0 as PartitionKey

const wordSpan = 0x1_0000_0000

/** Reads a 64-bit little-endian number that must fit in 53 bits. */
export function readU64(view: DataView, at: number): number {
  const value = view.getUint32(at, true) + view.getUint32(at + 4, true) * wordSpan
  assert(Number.isSafeInteger(value), 'a 64-bit number fits in 53 bits')
  return value
}

export function writeU64(view: DataView, at: number, value: number): void {
  assert(Number.isSafeInteger(value) && value >= 0, 'a 64-bit number is written from 0 to 2^53−1')
  view.setUint32(at, value >>> 0, true)
  view.setUint32(at + 4, Math.floor(value / wordSpan), true)
}

/** Reads a 48-bit little-endian number. */
export function readU48(view: DataView, at: number): number {
  return view.getUint32(at, true) + view.getUint16(at + 4, true) * wordSpan
}

export function writeU48(view: DataView, at: number, value: number): void {
  assert(
    Number.isSafeInteger(value) && value >= 0 && value < 2 ** 48,
    'a 48-bit number is written from 0 to 2^48−1',
  )
  view.setUint32(at, value >>> 0, true)
  view.setUint16(at + 4, Math.floor(value / wordSpan), true)
}
