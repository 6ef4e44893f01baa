import { partitionNumber, type TopicId } from '@popmq/protocol'
import { type GrantRow, newRow } from './grant-row.ts'
import type { ReadingName } from './group-values.ts'
import type { Progress } from './progress.ts'

/**
 * A topic as it is read with one progress: by all members of the group together, by one static member of a broadcast
 * group, or by a member without a name of one, whose progress lasts as long as its session (`isKept` is false: nothing
 * of it is in the registry).
 */
export class Reading {
  readonly name: ReadingName
  readonly isKept: boolean
  /** The only member that may hold it, by its static name or, if it is not kept, its id; undefined: any. */
  readonly reader: string | undefined
  readonly progress: Progress
  readonly rows: GrantRow[] = []
  /** Of the node with its grants; 0: there is none. */
  grantsVersion = 0

  constructor(
    of: Pick<Reading, 'name' | 'isKept' | 'reader' | 'progress'> & { readonly partitions: number },
  ) {
    this.name = of.name
    this.isKept = of.isKept
    this.reader = of.reader
    this.progress = of.progress
    this.grow(of.partitions)
  }

  get topicId(): TopicId {
    return this.name.topicId
  }

  row(partition: number): GrantRow | undefined {
    return this.rows[partition]
  }

  /** Partitions are added, never taken away. */
  grow(partitions: number): void {
    while (this.rows.length < partitions)
      this.rows.push(newRow(this, partitionNumber(this.rows.length)))
  }
}

/** Names a reading in its group. */
export function readingKey(topicId: TopicId, reader?: string): string {
  return reader === undefined ? `${topicId}` : `${topicId}.${reader}`
}
