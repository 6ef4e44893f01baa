import { type PartitionKey, RecordView } from '@popmq/protocol'
import { logPosition } from '@popmq/protocol'
import { ConsumeQueues, type ConsumeQueuesOptions } from './consume-queues.ts'
import type { SampleLog, SampleRecord } from './sample-log.ts'

export interface SampleOptions extends ConsumeQueuesOptions {
  readonly snapshot?: Uint8Array
}

/** For tests: queues that have begun, of a log whose first segment is at 0. */
export async function beginQueues({ snapshot, ...options }: SampleOptions): Promise<ConsumeQueues> {
  const queues = new ConsumeQueues(options)
  await queues.start(snapshot)
  queues.roll(logPosition(0))
  return queues
}

export async function applyRecord(
  queues: ConsumeQueues,
  { bytes }: SampleRecord,
): Promise<PartitionKey | undefined> {
  const record = new RecordView(bytes)
  await queues.prepare([record])
  return queues.apply(record)
}

/** Applies `count` messages of a partition. */
export async function fillQueue(
  queues: ConsumeQueues,
  log: SampleLog,
  { of, count }: { readonly of: PartitionKey; readonly count: number },
): Promise<void> {
  for (let left = count; left > 0; left -= 1) await applyRecord(queues, log.message(of))
}
