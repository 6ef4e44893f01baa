/**
 * A record, little-endian, as it lies in the log and on the wire. The producer's client writes it once; the broker
 * patches only the words from `fold` up to `topic id`, and a consumer gets the same bytes.
 *
 *     0  u32  length          of the whole record, this field counted
 *     4  u32  crc             CRC-32 of [44, length): all that the producer wrote
 *     8  u32  fold            of the words [12, 44): all that the broker wrote
 *    12  u32  synced back     position − synced position at append (2^32−1 when further)
 *    16  u64  position        byte position in the log
 *    24  u64  offset          in the partition
 *    32  u48  appended at     ms since 1970
 *    38  u16  marks           1 = moved by cleaning, 2 = last record of its run
 *    40  u32  leader epoch
 *    --------------------------------------------------------------- the broker's words end here
 *    44  u32  topic id        0 for records that belong to no topic
 *    48  u16  partition
 *    50  u8   kind
 *    51  u8   attempt         deliveries before this copy
 *    52  u16  flags           value form, and which sections follow
 *    54  u48  producer id     0 when the broker made the record
 *    60  u16  producer epoch
 *    62  u16  run count       records in the run that the producer sent
 *    64  u32  run base        sequence of the run's first record
 *    68  16B  message id      UUIDv7 made by the producer: its ms is the born time
 *    84  u32  tag hash        0 without a tag
 *    88  u32  key hash        0 without a key
 *    92  u32  body length
 *    96       sections in the order of their flags, then the body
 */
export const recordFixedBytes = 96

/** Where each field of the fixed part begins. */
export const recordFields = {
  length: 0,
  crc: 4,
  fold: 8,
  syncedBack: 12,
  position: 16,
  offset: 24,
  appendedAt: 32,
  marks: 38,
  leaderEpoch: 40,
  topicId: 44,
  partition: 48,
  kind: 50,
  attempt: 51,
  flags: 52,
  producerId: 54,
  producerEpoch: 60,
  runCount: 62,
  runBase: 64,
  messageId: 68,
  tagHash: 84,
  keyHash: 88,
  bodyLength: 92,
} as const

/** Where the bytes begin that the crc covers. */
export const crcStart = recordFields.topicId
export const messageIdBytes = 16

/** What a record is. A number is never reused; an unknown one refuses the log by name. */
export const recordKinds = {
  message: 1,
  /** A message that failed, waiting for its next delivery to one group. Its offset is the number of a held record. */
  retry: 2,
  /** A message that a group gave up, in the group's topic of dead letters. */
  dead: 3,
  /** A message that becomes visible later. Its offset is the number of a held record. */
  delayed: 4,
  horizon: 32,
  drop_segment: 33,
  epoch_start: 34,
  topic_gone: 35,
  /** Which messages a group was handed, and until when. Nobody waits for it. */
  leased: 36,
  /** Which messages a group has done with. */
  settled: 37,
  /** A held record is due at another time, or no more. */
  hold_changed: 38,
  /** Letters of a group's dead letters are discarded or restored. */
  letters_changed: 39,
  /** A group goes on elsewhere in a partition. */
  reset: 40,
  /** A group was deleted. */
  group_gone: 41,
} as const
export type RecordKind = keyof typeof recordKinds

const kindNames = new Map<number, RecordKind>(
  Object.entries(recordKinds).map(([name, number]) => [number, name as RecordKind]),
)

/** @returns undefined for a kind that this version does not know. */
export function kindName(number: number): RecordKind | undefined {
  return kindNames.get(number)
}

export const marks = { moved: 1, lastOfRun: 2 } as const

/** The kinds whose records carry a message. */
export function carriesMessage(kind: number): boolean {
  return kind >= recordKinds.message && kind <= recordKinds.delayed
}

/** The kinds whose records stand at an offset of a partition, and so in a consume queue. */
export function isQueued(kind: number): boolean {
  return kind === recordKinds.message || kind === recordKinds.dead
}

/** The kinds whose records are held one by one, by number, until a later record lets them go. */
export function isHeld(kind: number): boolean {
  return kind === recordKinds.retry || kind === recordKinds.delayed
}

/** Bits of `flags`. Bits 0–1 are the value form, bits 2–3 are kept for compression and are 0. */
export const flags = {
  deliverAt: 1 << 4,
  tag: 1 << 5,
  key: 1 << 6,
  headers: 1 << 7,
  dedupId: 1 << 8,
  history: 1 << 9,
  delay: 1 << 10,
  source: 1 << 11,
} as const
export const valueForms = { bytes: 0, text: 1, json: 2 } as const
export const valueFormMask = 0b11
