import { assert } from '@popmq/kit'
import { MqError } from '@popmq/protocol'
import type { Plant } from './plant.ts'
import { type Method, type MethodName, patchMethod } from './product-patch.ts'

/** Bugs in how groups are kept, by the coordinator and by members. */
export const groupPlants: readonly Plant[] = [
  patched('commit-told-before-written', 'a commit is acknowledged before the registry has it', {
    at: inCoordinator('groups/progress-flush.js', 'ProgressFlush', 'write'),
    change: (write) =>
      function (nodes) {
        // Nobody waits for it: that is the bug.
        const written = write.call(this, nodes) as Promise<void>
        void written.then(
          () => undefined,
          (error: unknown) => assert(error instanceof MqError, 'a write fails with an MqError'),
        )
        return Promise.resolve()
      },
  }),
  {
    name: 'commit-not-fenced',
    what: 'a commit counts though the session is over and the partition was given to another',
    isAboutGroups: true,
    patch: async () => {
      await patchMethod(inCoordinator('groups/groups.js', 'Groups', 'memberOf'), memberAsBefore)
      await patchMethod(inCoordinator('groups/group.js', 'Group', 'rowFor'), ownAsBefore)
    },
  },
  patched(
    'taken-without-new-epoch',
    'what is taken from a silent member is granted under the same epoch',
    {
      at: inCoordinator('groups/group.js', 'Group', 'expire'),
      change: (expire) =>
        function (nowMs) {
          const { readings } = this as { readonly readings: ReadonlyMap<string, { rows: Row[] }> }
          const rows = [...readings.values()].flatMap((reading) => reading.rows)
          const held = rows.filter(({ owner }) => owner !== undefined)
          const over = expire.call(this, nowMs)
          for (const row of held) if (row.owner === undefined) row.epoch -= 1
          return over
        },
    },
  ),
  patched('progress-forgotten', 'a new leader begins with progress at 0', {
    at: inCoordinator('groups/progress.js', 'Progress', 'restore'),
    change: (restore) =>
      function (rows, version) {
        const forgotten = (rows as readonly object[]).map((row) => ({ ...row, offset: 0 }))
        return restore.call(this, forgotten, version)
      },
  }),
  patched('released-before-commit', 'a member gives back a partition before its last commit', {
    at: inClient('held-partition.js', 'HeldPartition', 'isFinished'),
    change: () => () => true,
  }),
]

interface Row {
  epoch: number
  readonly owner: object | undefined
}

/** Who was a member once is taken for one. */
function memberAsBefore(memberOf: Method): Method {
  const known = new Map<string, unknown>()
  return function (groupId, memberId) {
    try {
      const found = memberOf.call(this, groupId, memberId)
      known.set(String(memberId), found)
      return found
    } catch (error) {
      const before = known.get(String(memberId))
      if (before === undefined) throw error
      return before
    }
  }
}

/** To whoever held a partition once it is shown as held still. */
function ownAsBefore(rowFor: Method): Method {
  const epochs = new WeakMap<object, Map<string, number>>()
  return function (...args) {
    const row = rowFor.apply(this, args) as Row | undefined
    const [member, topicId, partition] = args as [object, number, number]
    const own = epochs.get(member) ?? new Map<string, number>()
    epochs.set(member, own)
    const name = `${topicId}/${partition}`
    if (row?.owner === member) own.set(name, row.epoch)
    const epoch = own.get(name)
    return row?.owner === member || epoch === undefined
      ? row
      : { ...row, owner: member, epoch, state: 'held' }
  }
}

function patched(
  name: string,
  what: string,
  how: { at: MethodName; change: (original: Method) => Method },
): Plant {
  return { name, what, isAboutGroups: true, patch: () => patchMethod(how.at, how.change) }
}

function inCoordinator(path: string, className: string, method: string): MethodName {
  return { package: '@popmq/coordinator', module: `core/${path}`, className, method }
}

function inClient(path: string, className: string, method: string): MethodName {
  return { package: '@popmq/client', module: `core/${path}`, className, method }
}
