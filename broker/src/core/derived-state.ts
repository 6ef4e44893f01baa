import type { Storage } from '@popmq/kit'
import {
  type Checksum,
  type LogPosition,
  RecordView,
  type TopicId,
  topicOfKey,
} from '@popmq/protocol'
import type { Checkpoint } from './log/checkpoint.ts'
import { readBlocks, visitRecords } from './log/log-scan.ts'
import type { Segments } from './log/segments.ts'
import { DedupIds, NextOffsets, ProducerRuns } from './sequencers/index.ts'
import type { Topics } from './topics.ts'
import { ViewSet } from './view-set.ts'
import { needsPages } from './views.ts'

/** Everything that is derived from a log: sequencers as of its end, views as of its commit position. */
export interface DerivedState {
  readonly nextOffsets: NextOffsets
  readonly producerRuns: ProducerRuns
  readonly dedupIds: DedupIds
  readonly viewSet: ViewSet
}

export interface RebuildParts {
  readonly storage: Storage
  readonly crc32: Checksum
  readonly checkpoint: Checkpoint
  readonly segments: Segments
  readonly topics: Topics
  /** Where the recovered log ends; all below is synced, so all below is committed. */
  readonly end: LogPosition
}

/** Takes the state of a checkpoint and applies the log behind it. */
export async function rebuildState(parts: RebuildParts): Promise<DerivedState> {
  const { storage, crc32, checkpoint, segments, topics, end } = parts
  const { sections, sequenced, viewed } = checkpoint
  const nextOffsets = new NextOffsets()
  const producerRuns = new ProducerRuns()
  const dedupIds = new DedupIds({ windowMsOf: (id) => topics.dedupWindowMs(id) })
  const sequencers = { nextOffsets, producerRuns, dedupIds }
  for (const [name, sequencer] of Object.entries(sequencers)) {
    const section = sections.get(name)
    if (section !== undefined) sequencer.restore(section)
  }
  const viewSet = new ViewSet({ storage, crc32 })
  await viewSet.start(sections)
  for (const { base } of segments.all) viewSet.roll(base)
  for await (const block of readBlocks(segments, sequenced, end)) {
    const unseen: number[] = []
    visitRecords([block], (record) => {
      for (const sequencer of Object.values(sequencers)) sequencer.observe(record)
      if (record.position >= viewed) unseen.push(record.start)
    })
    await applyAll(viewSet, block, unseen)
  }
  return { ...sequencers, viewSet }
}

/** Records are applied in order; one that needs pages from disk is waited for. `starts` are places in `block`. */
async function applyAll(
  viewSet: ViewSet,
  block: Uint8Array,
  starts: readonly number[],
): Promise<void> {
  const record = new RecordView()
  for (const start of starts) {
    record.move(block, start)
    if (needsPages(record)) await viewSet.prepare([record])
    viewSet.apply(record)
  }
}

/** Topics that have messages here and that the coordinator no longer knows. */
export function goneTopics({ nextOffsets }: DerivedState, topics: Topics): Set<TopicId> {
  const gone = new Set<TopicId>()
  for (const { key } of nextOffsets.partitions()) {
    const id = topicOfKey(key)
    if (topics.get(id) === undefined) gone.add(id)
  }
  return gone
}
