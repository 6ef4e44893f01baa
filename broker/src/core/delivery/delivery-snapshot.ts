import {
  decodeFields,
  encodeFields,
  type GroupId,
  type LogPosition,
  MqError,
  type Offset,
  type PartitionKey,
} from '@popmq/protocol'
import type { Delivery } from './delivery.ts'
import type { Lease } from './lease.ts'
import { PoppedPartition } from './popped-partition.ts'
import type { Retry } from './retries.ts'

/**
 * The snapshot of the deliveries: a CBOR map.
 *
 *    version 1
 *    partitions: group id, partition key, generation, next, skipped, ahead […], leases […], open [offset, lease index, …]
 *    retries: number, group id, partition key, offset, first appended at, attempts, expiries, fingerprint, generation,
 *       bytes, position, due at, and a lease if it is handed out
 *    lease: nonce, at, until, attempt, consumer, earlier attempts
 */
export function encodeDelivery(delivery: Delivery): Uint8Array {
  return encodeFields({
    version,
    partitions: [...delivery.partitions()].map(partitionRow),
    retries: [...delivery.retries.all()].map(retryRow),
  })
}

/** Fills an empty view. @throws MqError `newer_format` for another version */
export function restoreDelivery(delivery: Delivery, bytes: Uint8Array): void {
  const found = decodeFields(bytes) as unknown as Snapshot
  if (found.version !== version)
    throw new MqError('newer_format', `the deliveries have snapshot version ${found.version}`)
  for (const row of found.partitions) delivery.restore(partitionOf(row))
  for (const row of found.retries) delivery.retries.restore(retryOf(row))
}

const version = 1

type LeaseRow = readonly [number, number, number, number, string, Lease['earlier']]
type PartitionRow = readonly [
  ...fixed: readonly [number, number, number, number, number],
  ahead: readonly number[],
  leases: readonly LeaseRow[],
  open: readonly number[],
]
type RetryRow = readonly [fields: readonly number[], lease?: LeaseRow]

interface Snapshot {
  readonly version: number
  readonly partitions: readonly PartitionRow[]
  readonly retries: readonly RetryRow[]
}

function partitionRow(partition: PoppedPartition): PartitionRow {
  const { groupId, key, generation, next, skipped, ahead, open } = partition
  const leases = new Map<Lease, number>()
  const places: number[] = []
  for (const [number, lease] of open) {
    const index = leases.get(lease) ?? leases.size
    leases.set(lease, index)
    places.push(number, index)
  }
  const rows = [...leases.keys()].map(leaseRow)
  return [groupId, key, generation, next, skipped, [...ahead], rows, places]
}

function partitionOf(row: PartitionRow): PoppedPartition {
  const [group, key, generation, next, skipped, ahead, leaseRows, places] = row
  const partition = new PoppedPartition(group as GroupId, key as PartitionKey)
  partition.generation = generation
  partition.next = next as Offset
  partition.skipped = skipped
  for (const number of ahead) partition.ahead.add(number as Offset)
  const leases = leaseRows.map(leaseOf)
  for (let at = 0; at < places.length; at += 2) {
    const lease = leases[places[at + 1] ?? -1]
    if (lease !== undefined) partition.open.set(places[at] as Offset, lease)
  }
  return partition
}

function leaseRow({ nonce, at, until, attempt, consumer, earlier }: Lease): LeaseRow {
  return [nonce, at, until, attempt, consumer, earlier]
}

function leaseOf([nonce, at, until, attempt, consumer, earlier]: LeaseRow): Lease {
  return { nonce, at, until, attempt, consumer, earlier }
}

function retryRow(retry: Retry): RetryRow {
  const fields = retryFields.map((name) => retry[name])
  return retry.lease === undefined ? [fields] : [fields, leaseRow(retry.lease)]
}

function retryOf([fields, lease]: RetryRow): Retry {
  const [number = 0, group, key, at, firstAppendedAt = 0, attempts = 0, expiries = 0] = fields
  const [fingerprint = 0, generation = 0, bytes = 0, position, dueAt = 0] = fields.slice(7)
  return {
    number,
    groupId: group as GroupId,
    key: key as PartitionKey,
    offset: at as Offset,
    firstAppendedAt,
    attempts,
    expiries,
    fingerprint,
    generation,
    bytes,
    position: position as LogPosition,
    dueAt,
    lease: lease === undefined ? undefined : leaseOf(lease),
  }
}

const retryFields = [
  ...(['number', 'groupId', 'key', 'offset', 'firstAppendedAt', 'attempts', 'expiries'] as const),
  ...(['fingerprint', 'generation', 'bytes', 'position', 'dueAt'] as const),
] as const
