import { msOf } from '@popmq/kit'
import { limits, type TopicPolicy } from '@popmq/protocol'
import { invalidValue, unknownKey } from './policy-key.ts'

/**
 * The keys that users write, and what they become in a topic's policy.
 *    retention        how long messages are kept: 200ms, 5s, 2m, 72h, 14d; 0: for ever   default 72h
 *    maxBytes         what the topic keeps:   8388608, 64KiB, 8MiB, 1GiB, 1TiB; 0: any    default 0
 *    maxMessageBytes  the longest message, 1 to 64MiB                                     default 8MiB
 *    dedupWindow      how long a dedup id is remembered, 0 to 24h                         default 2m
 *    replicas         copies of the log; 1 until there is replication                     default 1
 */
export const defaultPolicy: TopicPolicy = Object.freeze({
  retentionMs: 72 * 3_600_000,
  maxBytes: 0,
  maxMessageBytes: limits.defaultMessageBytes,
  dedupWindowMs: 120_000,
  replicas: 1,
})

const keys: Readonly<Record<string, (value: string, key: string) => Partial<TopicPolicy>>> = {
  retention: (value, key) => ({ retentionMs: duration(value, key, Number.MAX_SAFE_INTEGER) }),
  maxBytes: (value, key) => ({
    maxBytes: size(value, key, { least: 0, most: Number.MAX_SAFE_INTEGER }),
  }),
  maxMessageBytes: (value, key) => ({
    maxMessageBytes: size(value, key, { least: 1, most: limits.mostMessageBytes }),
  }),
  dedupWindow: (value, key) => ({ dedupWindowMs: duration(value, key, 86_400_000) }),
  replicas: (value, key) => ({ replicas: replicas(value, key) }),
}

/** `base` with the keys of `config`. @throws MqError `invalid_config` naming the key */
export function topicPolicyOf(
  config: Readonly<Record<string, string>>,
  base: TopicPolicy = defaultPolicy,
): TopicPolicy {
  let policy = base
  for (const [key, value] of Object.entries(config)) {
    const parse = Object.hasOwn(keys, key) ? keys[key] : undefined
    if (parse === undefined) throw unknownKey('topic', { key, known: Object.keys(keys) })
    policy = { ...policy, ...parse(value, key) }
  }
  return policy
}

function duration(value: string, key: string, most: number): number {
  const ms = value === '0' ? 0 : msOf(value)
  if (Number.isNaN(ms))
    throw invalidValue(key, value, 'is not a time: write 200ms, 5s, 2m, 72h, 14d or 0')
  if (ms > most) throw invalidValue(key, value, `is more than ${most} ms`)
  return ms
}

const bytesPerUnit: Readonly<Record<string, number>> = {
  '': 1,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
}

function size(
  value: string,
  key: string,
  { least, most }: { least: number; most: number },
): number {
  const match = /^(\d{1,16})(KiB|MiB|GiB|TiB|)$/.exec(value)
  const unit = match === null ? undefined : bytesPerUnit[match[2] ?? '']
  if (unit === undefined)
    throw invalidValue(key, value, 'is not a size: write 8388608, 64KiB, 8MiB, 1GiB or 1TiB')
  const bytes = Number(match?.[1]) * unit
  if (bytes < least || bytes > most)
    throw invalidValue(key, value, `must be ${least} to ${most} bytes`)
  return bytes
}

function replicas(value: string, key: string): number {
  if (!/^[1-7]$/.test(value)) throw invalidValue(key, value, 'must be a whole number from 1 to 7')
  if (value !== '1')
    throw invalidValue(
      key,
      value,
      'is not possible: replication is not available in this version, use 1',
    )
  return 1
}
