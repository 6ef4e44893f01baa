import { type Clock, sleep } from '@popmq/kit'
import {
  errorNumber,
  isMqError,
  type LogPosition,
  MqError,
  type ProducedRun,
  type produce,
  type RequestOf,
} from '@popmq/protocol'
import { partitionKey, type ReplyOf, type RunResult } from '@popmq/protocol'
import type { Answer, RequestContext } from '@popmq/transport'
import type { PlacedRun } from '../core/appender.ts'
import type { DiskVerdict } from '../core/disk-room.ts'
import type { ReplicaSet } from '../core/replica-set.ts'
import type { Topics } from '../core/topics.ts'

export interface ProduceParts {
  readonly set: Pick<ReplicaSet, 'append' | 'whenSynced'>
  readonly topics: Pick<Topics, 'led'>
  readonly disk: () => DiskVerdict
  readonly clock: Clock
}

type Request = RequestOf<typeof produce>
type Outcome = PlacedRun | MqError

/** Appends the runs of a request, then answers when all have the level asked. */
export async function handleProduce(
  { acks, runs }: Request,
  { bytes }: Pick<RequestContext, 'bytes'>,
  parts: ProduceParts,
): Promise<Answer<ReplyOf<typeof produce>> | undefined> {
  checkBytes(runs, bytes)
  let start = 0
  const outcomes: Outcome[] = runs.map((run) => {
    start += run.bytes
    return appendRun(run, bytes.subarray(start - run.bytes, start), { acks, ...parts })
  })
  if (acks === 'none') return undefined
  const level = acks === 'received' ? 'received' : 'disk'
  const failure = level === 'disk' ? await whenSynced(outcomes, parts.set) : undefined
  const { holdMs } = parts.disk()
  if (holdMs > 0) await sleep(parts.clock, holdMs)
  return { reply: { results: outcomes.map((outcome) => resultOf(outcome, level, failure)) } }
}

function checkBytes(runs: readonly ProducedRun[], bytes: Uint8Array): void {
  const named = runs.reduce((sum, run) => sum + run.bytes, 0)
  if (named !== bytes.length) {
    throw new MqError(
      'invalid_request',
      `the runs name ${named} bytes of records and ${bytes.length} came`,
    )
  }
}

function appendRun(
  { topicId, partition, count }: ProducedRun,
  bytes: Uint8Array,
  { acks, topics, disk, set }: Pick<Request, 'acks'> & ProduceParts,
): Outcome {
  const topic = topics.led(topicId, partition)
  if (topic === undefined)
    return new MqError(
      'not_leader',
      `this broker does not lead partition ${partition} of topic ${topicId}`,
    )
  if (acks === 'quorum')
    return new MqError('quorum_unavailable', `topic ${topic.name} has one replica`)
  if (disk().state === 'refuse')
    return new MqError('disk_full', 'the disk of the broker is full', { retryAfterMs: 1_000 })
  const { maxMessageBytes } = topic.policy
  return set.append({
    key: partitionKey(topicId, partition),
    topicId,
    partition,
    count,
    bytes,
    maxMessageBytes,
  })
}

/** Waits once, for the run that ends last. @returns why the level asked was not reached */
async function whenSynced(
  outcomes: readonly Outcome[],
  set: ProduceParts['set'],
): Promise<MqError | undefined> {
  const end = outcomes.reduce<LogPosition | undefined>((last, outcome) => {
    if (outcome instanceof MqError) return last
    return last === undefined || outcome.end > last ? outcome.end : last
  }, undefined)
  if (end === undefined) return undefined
  try {
    await set.whenSynced(end)
    return undefined
  } catch (error) {
    if (isMqError(error)) return error
    throw error
  }
}

function resultOf(
  outcome: Outcome,
  level: 'received' | 'disk',
  failure: MqError | undefined,
): RunResult {
  const error = outcome instanceof MqError ? outcome : failure
  if (outcome instanceof MqError || error !== undefined)
    return errorResult(error ?? (outcome as MqError))
  const { baseOffset, appendedAt, deduplicated } = outcome
  return { baseOffset, appendedAt, level, ...(deduplicated.length === 0 ? {} : { deduplicated }) }
}

function errorResult({ name, what, retryAfterMs }: MqError): RunResult {
  return { error: errorNumber(name), what, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) }
}
