import { isMqError, type TopicId } from '@popmq/protocol'
import type { Change } from '../leadership.ts'
import type { RegistryOp } from '../registry-port.ts'
import { encodeValue } from '../registry-values.ts'
import type { Group } from './group.ts'
import { groupPaths } from './group-values.ts'
import type { Groups } from './groups.ts'
import type { Reading } from './reading.ts'

/** Takes topics that are no more out of a group: first its members lose them, then the registry forgets them. */
export function dropDeletedTopics(groups: Groups, group: Group): void {
  const gone = group.record.topics.filter(({ name, topicId }) => groups.topic(name)?.id !== topicId)
  if (gone.length === 0) return
  for (const { topicId } of gone) {
    const readings = group.dropTopic(topicId, groups.nowMs)
    void forgetTopic(groups, group, { topicId, readings }).catch((error: unknown) => {
      // What is left is forgotten when a coordinator begins to lead.
      if (!isMqError(error)) throw error
    })
  }
  groups.work(group)
}

async function forgetTopic(
  groups: Groups,
  group: Group,
  { topicId, readings }: { topicId: TopicId; readings: readonly Reading[] },
): Promise<void> {
  const kept = readings.filter(({ isKept }) => isKept)
  const removed = async (): Promise<void> => {
    await groups.leadership.write(
      () => prepareForget(group, topicId, kept),
      ({ record }) => {
        if (record === undefined) return
        group.record = record
        group.nodeVersion += 1
      },
    )
  }
  // One write after another: while the nodes of its progress are removed nothing else writes them.
  const alone = kept.reduce<() => Promise<void>>(
    (inner, { progress }) =>
      () =>
        groups.flush.exclusively(progress, inner),
    removed,
  )
  await alone()
}

function prepareForget(
  group: Group,
  topicId: TopicId,
  kept: readonly Reading[],
): Change & { readonly record: Group['record'] | undefined } {
  if (group.isDeleted) return { ops: [], record: undefined }
  const topics = group.record.topics.filter((topic) => topic.topicId !== topicId)
  const record = { ...group.record, topics }
  const ops: RegistryOp[] = [
    {
      kind: 'set',
      path: groupPaths.group(record.name),
      value: encodeValue(record),
      version: group.nodeVersion,
    },
    ...kept.flatMap((reading) => removalOf(group, reading)),
  ]
  return { ops, record }
}

/** What removes the nodes of a reading. */
export function removalOf(group: Group, { name, progress, grantsVersion }: Reading): RegistryOp[] {
  const ops: RegistryOp[] = []
  if (grantsVersion > 0) ops.push({ kind: 'remove', path: groupPaths.grants(group.id, name) })
  if (progress.version > 0) ops.push({ kind: 'remove', path: progress.path })
  return ops
}
