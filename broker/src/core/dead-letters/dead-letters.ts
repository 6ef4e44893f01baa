import { assert, present } from '@popmq/kit'
import {
  decodeFields,
  encodeFields,
  type GroupId,
  marks,
  MqError,
  type Offset,
  partitionKey,
  type PartitionKey,
  recordKinds,
  type RecordView,
  sourceOf,
  type TopicId,
  topicOfKey,
} from '@popmq/protocol'
import { decodeHorizon } from '../consume-queue/index.ts'
import { historyOf } from '../delivery/failed-copy.ts'
import { fingerprint } from '../delivery/fingerprint.ts'
import { decodeGroupGone } from '../delivery/reset-record.ts'
import { GroupLetters, type GroupSnapshot } from './group-letters.ts'
import { decodeLettersChange } from './letters-change.ts'

/**
 * The dead letters of all groups on this replica set: a view. It changes only by `apply`, with committed records in their
 * order, and by `reopen`, for a reset among them. The records themselves stand in consume queues, each group's in the
 * partition of its topic of dead letters; which group that is, the first letter tells. About 34 bytes a letter, and what
 * `LetterSummaries` and `LetterPlaces` say.
 *
 * Snapshot: a CBOR map of version 1 and the groups.
 */
export class DeadLetters {
  readonly #most: number | undefined
  readonly #byGroup = new Map<GroupId, GroupLetters>()
  readonly #byKey = new Map<PartitionKey, GroupLetters>()

  /** `most`: fingerprints of a group that have summaries of their own. @defaultValue 9_999 */
  constructor(most?: number) {
    this.#most = most
  }

  /** Undefined for a group that never had a letter here. */
  find(group: GroupId): GroupLetters | undefined {
    return this.#byGroup.get(group)
  }

  groups(): IterableIterator<GroupLetters> {
    return this.#byGroup.values()
  }

  /** Takes in the next committed record. */
  apply(record: RecordView): void {
    switch (record.kind) {
      case recordKinds.dead:
        return this.#applyDead(record)
      case recordKinds.letters_changed:
        return this.#applyChange(record.body)
      case recordKinds.horizon:
        for (const { key, low } of decodeHorizon(record.body)) this.#applyHorizon(key, low)
        return
      case recordKinds.topic_gone:
        return this.#forgetTopic(record.topicId)
      case recordKinds.group_gone:
        return this.#forget(this.find(decodeGroupGone(record.body)))
      default:
        return
    }
  }

  /** A reset is applied: messages of a partition from an offset on are delivered to the group again. */
  reopen(group: GroupId, key: PartitionKey, from: Offset): void {
    this.find(group)?.reopen(key, from)
  }

  encode(): Uint8Array {
    return encodeFields({ version, groups: [...this.groups()].map((group) => group.encode()) })
  }

  /** Takes the place of all that is known. @throws MqError `newer_format` for another version */
  restore(bytes: Uint8Array): void {
    const found = decodeFields(bytes) as unknown as Snapshot
    if (found.version !== version)
      throw new MqError('newer_format', `the dead letters have snapshot version ${found.version}`)
    this.#byGroup.clear()
    this.#byKey.clear()
    for (const group of found.groups) this.#add(GroupLetters.restore(group, this.#most))
  }

  #applyDead(record: RecordView): void {
    // Where a record lies is told by the consume queues alone.
    if ((record.marks & marks.moved) !== 0) return
    const key = partitionKey(record.topicId, record.partition)
    const source = present(sourceOf(record), 'a dead letter names its source')
    const { groupId } = source
    const letters =
      this.#byKey.get(key) ??
      this.#add(new GroupLetters({ groupId, key, next: record.offset }, this.#most))
    assert(letters.groupId === groupId, 'a partition of dead letters is of one group')
    assert(letters.high === record.offset, 'the letters of a partition follow one another')
    const letter = {
      key: partitionKey(source.topicId, source.partition),
      offset: source.offset,
      firstAppendedAt: source.firstAppendedAt,
      fingerprint:
        source.fingerprint === 0 ? fingerprint(undefined, source.cause) : source.fingerprint,
      diedAt: source.at,
    }
    letters.died(letter, historyOf(record).at(-1)?.error)
  }

  #applyChange(body: Uint8Array): void {
    const { groupId, to, letters } = decodeLettersChange(body)
    const group = this.find(groupId)
    for (const letter of letters) group?.change(letter, to)
  }

  #applyHorizon(key: PartitionKey, low: Offset): void {
    this.#byKey.get(key)?.expireBelow(low)
    for (const group of this.groups()) group.originHorizon(key, low)
  }

  #forgetTopic(topic: TopicId): void {
    for (const group of [...this.groups()]) {
      if (topicOfKey(group.key) === topic) this.#forget(group)
      else group.originGone(topic)
    }
  }

  #forget(group: GroupLetters | undefined): void {
    if (group === undefined) return
    this.#byGroup.delete(group.groupId)
    this.#byKey.delete(group.key)
  }

  #add(group: GroupLetters): GroupLetters {
    assert(!this.#byGroup.has(group.groupId), 'a group has one partition of dead letters here')
    this.#byGroup.set(group.groupId, group)
    this.#byKey.set(group.key, group)
    return group
  }
}

const version = 1

interface Snapshot {
  readonly version: number
  readonly groups: readonly GroupSnapshot[]
}
