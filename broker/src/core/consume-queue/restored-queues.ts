import type { LogPosition } from '@popmq/protocol'
import { ConsumeQueue } from './consume-queue.ts'
import { locationOf } from './index-file.ts'
import type { IndexFiles } from './index-files.ts'
import { readRows } from './index-table.ts'
import type { Shared } from './queue-pages.ts'
import type { QueueSet } from './queue-set.ts'
import type { Snapshot } from './snapshot.ts'

export interface RestoreParts {
  readonly queues: QueueSet
  readonly files: IndexFiles
  readonly shared: Shared
  readonly roll: (base: LogPosition) => void
}

/** Makes queues, index files and live bytes what they were in a snapshot. @throws MqError `damaged_log` */
export async function restoreQueues(snapshot: Snapshot, parts: RestoreParts): Promise<void> {
  const { queues, files, shared, roll } = parts
  for (const { base, bytes } of snapshot.segments) {
    roll(base)
    shared.live.add(shared.live.newest, bytes)
  }
  for (const state of snapshot.partitions) queues.add(ConsumeQueue.restore(state, shared))
  await files.restore(snapshot.files, snapshot.viewed)
  for await (const { segment, rows } of files.tables()) {
    for (const row of readRows(rows)) {
      queues.get(row.key)?.pages.restoreRow(row, locationOf(segment, row.slot))
    }
  }
  for (const page of snapshot.pages) queues.get(page.key)?.restorePage(page)
  for (const state of snapshot.partitions) queues.get(state.key)?.finishRestore(state)
}
