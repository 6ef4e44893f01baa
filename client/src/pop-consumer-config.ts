import { checkName, isSystemName, limits, MqError } from '@popmq/protocol'
import type { PopConsumerOptions } from './api/pop-consumer.ts'
import { checkRange, type Range, withDefaults } from './options.ts'
import { checkReadFrom } from './pull-consumer-config.ts'

/** The options of a pop consumer, checked. */
export interface PopConsumerConfig {
  readonly group: string
  readonly topics: readonly string[]
  readonly tags: readonly string[] | undefined
  readonly from: NonNullable<PopConsumerOptions['from']>
  /** Undefined: as the group's policy says. */
  readonly invisibleMs: number | undefined
  /** Undefined: the client makes one. */
  readonly consumer: string | undefined
  readonly maxBytes: number
  readonly waitMs: number
  readonly settleWithinMs: number
}

export const popDefaults: PopConsumerConfig = {
  group: '',
  topics: [],
  tags: undefined,
  from: 'earliest',
  invisibleMs: undefined,
  consumer: undefined,
  maxBytes: 4_194_304,
  waitMs: 20_000,
  settleWithinMs: 10_000,
}

export const popRanges = {
  invisibleMs: [1, limits.invisibleMs],
  maxBytes: [1, 67_108_864],
  waitMs: [0, 86_400_000],
  settleWithinMs: [1, limits.deliverWithinMs],
} as const satisfies Record<string, Range>

const mostTopics = 1_000
const mostTags = 64
const mostMessages: Range = [1, limits.messagesPerPop]
const utf8 = new TextEncoder()

/** @throws MqError `invalid_request`, `invalid_name` */
export function popConsumerConfig(options: PopConsumerOptions): PopConsumerConfig {
  const config = withDefaults('popConsumer', options, { defaults: popDefaults, ranges: popRanges })
  checkPop('popConsumer', config)
  return config
}

/** Checks what pop consumers and workers are told. @throws MqError `invalid_request`, `invalid_name` */
export function checkPop(what: string, config: PopConsumerConfig): void {
  const { group, topics, tags, from, consumer } = config
  if (typeof group !== 'string') throw invalid(`${what} option group is a name`)
  checkName('group', group)
  if (!Array.isArray(topics) || topics.length < 1 || topics.length > mostTopics) {
    throw invalid(`${what} option topics takes 1 to ${mostTopics} topics`)
  }
  if (new Set(topics).size < topics.length) throw invalid('a topic is named twice')
  for (const topic of topics) if (!isSystemName(topic)) checkName('topic', topic)
  const isList = Array.isArray(tags) && tags.every((tag) => typeof tag === 'string')
  if (tags !== undefined && (!isList || tags.length < 1 || tags.length > mostTags)) {
    throw invalid(`${what} option tags takes 1 to ${mostTags} tags`)
  }
  for (const start of Array.isArray(from) ? from.map(offsetOf) : [from]) checkReadFrom(start)
  if (consumer !== undefined) checkConsumer(what, consumer)
}

export interface PopCall {
  readonly max: number
  readonly waitMs: number
  readonly invisibleMs: number | undefined
  readonly maxBytes: number
  readonly signal: AbortSignal | undefined
}

/** The options of one `receive`, checked. @throws MqError `invalid_request` */
export function popCall(options: object, config: PopConsumerConfig): PopCall {
  const { waitMs, invisibleMs, maxBytes } = config
  const defaults: PopCall = { max: 32, waitMs, invisibleMs, maxBytes, signal: undefined }
  const ranges = { ...popRanges, max: mostMessages }
  return withDefaults<PopCall>('receive', options, { defaults, ranges })
}

function checkConsumer(what: string, consumer: unknown): void {
  if (typeof consumer !== 'string') throw invalid(`${what} option consumer is a name`)
  const bytes = utf8.encode(consumer).length
  checkRange(`the bytes of ${what} option consumer`, bytes, [1, limits.errorTypeBytes])
}

function offsetOf(entry: unknown): unknown {
  return typeof entry === 'object' && entry !== null && 'offset' in entry ? entry.offset : undefined
}

function invalid(what: string): MqError {
  return new MqError('invalid_request', what)
}
