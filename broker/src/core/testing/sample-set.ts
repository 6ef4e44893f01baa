import { authenticate, crc32 } from '@popmq/kit/checksum'
import { MemoryStorage, Scheduler, SeededRandom } from '@popmq/kit/testing'
import { epoch, partitionKey, partitionNumber, topicId, type TopicInfo } from '@popmq/protocol'
import type { IncomingRun } from '../incoming-run.ts'
import { sampleRun, type SampleRun } from './sample-run.ts'
import { type LogOptions, logOptions } from '../options.ts'
import { RecoveredSet } from '../recovered-set.ts'
import type { ReplicaSet } from '../replica-set.ts'

/** For tests: a topic of three partitions, all on replica set 1. */
export const sampleTopic: TopicInfo = {
  name: 'orders',
  id: topicId(1),
  sets: [1, 1, 1],
  policy: {
    retentionMs: 0,
    maxBytes: 0,
    maxMessageBytes: 1_000,
    dedupWindowMs: 120_000,
    replicas: 1,
  },
  createdAt: 0,
}

/** What every set needs and most tests have no say in. */
export const samplePorts = { crc32, authenticate, random: new SeededRandom(1) }
/** No groups. */
export const sampleGroups = { groups: [], handleKeys: [], onUnfit: () => undefined }

/** For tests: a leading set on a simulated disk and clock. Each opening takes the next epoch. */
export class SampleSet {
  readonly clock = new Scheduler()
  readonly options: LogOptions
  topics: readonly TopicInfo[] = [sampleTopic]
  storage = new MemoryStorage()
  #epoch = 0

  constructor(options: Partial<LogOptions> = {}) {
    this.options = logOptions({
      segmentBytes: 65_536,
      chunkBytes: 8_192,
      tailBytes: 8_192,
      ...options,
    })
  }

  async open(): Promise<ReplicaSet> {
    this.#epoch += 1
    const { storage, clock, options } = this
    const recovered = await RecoveredSet.open({ ...samplePorts, storage, clock, options })
    return recovered.lead({
      epoch: epoch(this.#epoch),
      setId: 1,
      ...sampleGroups,
      topics: this.topics,
      onFailed: () => undefined,
    })
  }

  /** The run as the produce handler gives it to the set. */
  run(sample: SampleRun, maxMessageBytes = sampleTopic.policy.maxMessageBytes): IncomingRun {
    const partition = partitionNumber(sample.partition ?? 0)
    const topic = topicId(sample.topic ?? 1)
    return {
      key: partitionKey(topic, partition),
      topicId: topic,
      partition,
      count: sample.values.length,
      bytes: sampleRun(sample),
      maxMessageBytes,
    }
  }
}
