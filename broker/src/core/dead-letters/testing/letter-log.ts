import { crc32 } from '@popmq/kit/checksum'
import {
  type Attempt,
  copyRecord,
  encodeHistory,
  encodeSource,
  epoch,
  type Failure,
  groupId,
  logPosition,
  marks,
  offset,
  partitionNumber,
  partitionOfKey,
  type PartitionKey,
  prepareMessage,
  producerId,
  RecordView,
  RecordWriter,
  topicId,
  topicOfKey,
} from '@popmq/protocol'
import { encodeHorizon } from '../../consume-queue/index.ts'
import { type ControlRecord, encodeControl } from '../../control-record.ts'
import { encodeGroupGone } from '../../delivery/reset-record.ts'
import { encodeLettersChange } from '../letters-change.ts'

export interface SampleLetter {
  readonly group: number
  readonly key: PartitionKey
  readonly offset: number
  readonly fingerprint?: number
  readonly error?: Failure
  readonly diedAt?: number
  readonly firstAppendedAt?: number
  readonly messageKey?: string
}

const setId = 3

/** The partition of a group's dead letters. */
export function deadKey(group: number): PartitionKey {
  return (deadTopic(group) * 1_024 + setId) as PartitionKey
}

export function deadTopic(group: number): number {
  return 900 + group
}

/** For tests: the records that the dead letters hang on, as a leader would append them. */
export class LetterLog {
  readonly #next = new Map<number, number>()
  #position = 0

  /** The letter that a group's next one will be. */
  next(group: number): number {
    return this.#next.get(group) ?? 0
  }

  dead({ group, key, offset: at, error, ...told }: SampleLetter): RecordView {
    const diedAt = told.diedAt ?? 10_000
    const message = prepareMessage({ key: told.messageKey ?? 'ann', tag: 'vip' }, 'value')
    const bytes = new Uint8Array(message.recordBytes)
    const writer = new RecordWriter(bytes)
    const topic = topicOfKey(key)
    const partition = partitionOfKey(key)
    const run = { producerId: producerId(0), producerEpoch: 0, runCount: 1, runBase: 0 }
    const messageId = new Uint8Array(16).fill(at)
    writer.message(0, message, { topicId: topic, partition, kind: 'message', messageId, ...run })
    const source = encodeSource({
      cause: error === undefined ? 'expired' : 'nack',
      attempts: 2,
      groupId: groupId(group),
      topicId: topic,
      partition,
      expiries: 0,
      settles: at,
      offset: offset(at),
      firstAppendedAt: told.firstAppendedAt ?? 5_000,
      fingerprint: told.fingerprint ?? 0,
      generation: 1,
      at: diedAt,
    })
    const attempt: Attempt = { n: 2, at: diedAt - 1, heldMs: 1, outcome: 'nack' }
    const history = encodeHistory([error === undefined ? attempt : { ...attempt, error }])
    const place = { topicId: topicId(deadTopic(group)), partition: partitionNumber(setId) }
    const head = { kind: 'dead', attempt: 2, ...place, history, source } as const
    const copy = copyRecord(new RecordView(bytes), head, crc32)
    const letter = this.next(group)
    this.#next.set(group, letter + 1)
    return this.#place(copy, letter)
  }

  /** The record once more, as cleaning appends it. */
  moved(record: RecordView): RecordView {
    return this.#place(record.bytes.slice(record.start, record.end), record.offset, marks.moved)
  }

  changed(group: number, to: 'open' | 'discarded', letters: readonly number[]): RecordView {
    const change = { groupId: groupId(group), to, letters: letters.map(offset) }
    return this.#control({ kind: 'letters_changed', body: encodeLettersChange(change) })
  }

  horizon(key: PartitionKey, low: number): RecordView {
    return this.#control({ kind: 'horizon', body: encodeHorizon([{ key, low: offset(low) }]) })
  }

  topicGone(topic: number): RecordView {
    return this.#control({ kind: 'topic_gone', topicId: topicId(topic), body: new Uint8Array(0) })
  }

  groupGone(group: number): RecordView {
    return this.#control({ kind: 'group_gone', body: encodeGroupGone(groupId(group)) })
  }

  #control(record: ControlRecord): RecordView {
    return this.#place(encodeControl(record, crc32), 0)
  }

  #place(bytes: Uint8Array, at: number, set = 0): RecordView {
    const view = new RecordView(bytes)
    const position = logPosition(this.#position)
    this.#position += bytes.length
    view.patch({
      position,
      offset: offset(at),
      appendedAt: 20_000,
      marks: set,
      leaderEpoch: epoch(1),
      syncedPosition: position,
    })
    return view
  }
}
