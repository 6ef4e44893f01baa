import { present } from '@popmq/kit'
import { MqError } from '@popmq/protocol'
import type { RegistryNode, RegistrySession } from '../registry-port.ts'
import { decodeValue, readChildren } from '../registry-values.ts'
import { restoreRow } from './grant-row.ts'
import { Group } from './group.ts'
import {
  decodeGrants,
  decodeProgress,
  groupPaths,
  groupValue,
  type GroupRecord,
  membersValue,
  readingOfNode,
  rebalancesValue,
} from './group-values.ts'
import type { Groups } from './groups.ts'
import { membersByIndex } from './members.ts'
import { type Reading, readingKey } from './reading.ts'

/** All groups of the registry, as the leader before left them: nothing moves, and every member may still run. */
export async function restoreGroups(groups: Groups, session: RegistrySession): Promise<Group[]> {
  await makeFolders(groups, session)
  const records = await readChildren(session, groupPaths.groups, groupValue)
  const restored: Group[] = []
  const lanes = Array.from({ length: 16 }, async () => {
    for (let next = records.pop(); next !== undefined; next = records.pop())
      restored.push(await restoreGroup(groups, session, next))
  })
  await Promise.all(lanes)
  return restored
}

/** The registry of an earlier version has no place for groups. */
async function makeFolders({ leadership }: Groups, session: RegistrySession): Promise<void> {
  if ((await session.read(groupPaths.groups)) !== undefined) return
  const { groups, allGrants, allProgress, allRebalances } = groupPaths
  const outcome = await leadership.guarded(
    [groups, allGrants, allProgress, allRebalances].map((path) => ({
      kind: 'create',
      path,
      value: new Uint8Array(0),
    })),
  )
  if (outcome.kind === 'applied' || outcome.tried > 1) return
  throw leadership.depose(
    new MqError('internal', 'the registry has some of the places for groups, and lacks others'),
  )
}

async function restoreGroup(
  groups: Groups,
  session: RegistrySession,
  { value: record, version }: { readonly value: GroupRecord; readonly version: number },
): Promise<Group> {
  const { clock } = groups
  const group = new Group(clock, { record, nodeVersion: version })
  const path = groupPaths.members(group.id)
  const node = await readNode(session, path)
  const members = decodeValue(membersValue, path, node)
  const endsMs = clock.monotonic() + group.policy.sessionMs
  group.membersVersion = node.version
  group.members.restore(members, { clock, endsMs })
  group.rebalances.count = members.rebalances
  await restoreReadings(session, groups, group)
  const rebalancesPath = groupPaths.rebalances(group.id)
  const latest = await session.read(rebalancesPath)
  if (latest !== undefined) {
    const { rebalances } = decodeValue(rebalancesValue, rebalancesPath, latest)
    group.rebalances.restore(rebalances, latest.version)
  }
  addUnwritten(groups, group)
  return group
}

async function restoreReadings(
  session: RegistrySession,
  groups: Groups,
  group: Group,
): Promise<void> {
  const byIndex = membersByIndex(group.members)
  for (const folder of [groupPaths.progressOf(group.id), groupPaths.members(group.id)]) {
    const isGrants = folder === groupPaths.members(group.id)
    for (const child of (await session.children(folder)) ?? []) {
      const path = `${folder}/${child}`
      const node = await readNode(session, path)
      const reading = readingAt(groups, group, path)
      if (!isGrants) {
        const rows = decodeProgress(path, node)
        reading.progress.restore(rows, node.version)
        reading.grow(rows.length)
        continue
      }
      const rows = decodeGrants(path, node)
      reading.grow(rows.length)
      reading.grantsVersion = node.version
      for (const [partition, { epoch, member }] of rows.entries()) {
        const row = present(reading.row(partition), 'a reading has a row for each partition')
        restoreRow(row, epoch, byIndex.get(member))
      }
    }
  }
}

function readingAt(groups: Groups, group: Group, path: string): Reading {
  const { topicId, member } = readingOfNode(path)
  const there = group.readings.get(readingKey(topicId, member))
  if (there !== undefined) return there
  const partitions = partitionsOf(groups, group, topicId)
  return group.addReading({ topicId, reader: member, isKept: true, partitions })
}

/**
 * What no node tells: readings of members without a name in broadcast, which have every partition under epoch 1, and
 * partitions that the leader before had taken from one member and not yet given to the next.
 */
function addUnwritten(groups: Groups, group: Group): void {
  for (const member of group.members) {
    for (const topicId of member.topics) {
      const reading = group.readingFor(member, topicId, partitionsOf(groups, group, topicId))
      if (reading.isKept) continue
      reading.progress.isStarted = true
      for (const row of reading.rows) restoreRow(row, 1, member)
    }
  }
  const isMissing = [...group.readings.values()].some(
    ({ progress, rows }) => progress.isStarted && rows.some(({ state }) => state === 'free'),
  )
  if (isMissing && group.members.size > 0)
    group.planTime.changed('coordinator_changed', groups.nowMs)
}

function partitionsOf(
  groups: Groups,
  group: Group,
  topicId: Parameters<Group['topic']>[0],
): number {
  const topic = group.topic(topicId)
  const info = topic === undefined ? undefined : groups.topic(topic.name)
  return info?.id === topicId ? info.sets.length : 0
}

async function readNode(session: RegistrySession, path: string): Promise<RegistryNode> {
  const node = await session.read(path)
  if (node !== undefined) return node
  throw new MqError('data_directory_invalid', `the registry lacks ${path}`)
}
