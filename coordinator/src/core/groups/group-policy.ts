import { msOf, nearest } from '@popmq/kit'
import type { GroupPolicy } from '@popmq/protocol'
import { invalidValue, unknownKey } from '../policy-key.ts'
import { assignorNames } from './assignors/assignors.ts'

/**
 * The keys that users write, and what they become in a group's policy.
 *    assignor                sticky, round-robin, range, failover, or a module's name      default sticky
 *    sessionTimeout          a member is gone when not heard for so long, 100ms to 10m     default 6s
 *    maxAttempts             deliveries before a message is dead, 1 to 1000                default 16
 *    backoff                 exp:1s..10m, or 200ms, or 1s,10s,1m                           default exp:1s..10m
 *    invisible               how long a popped message is hidden, 1ms to 12h               default 30s
 *    order                   none, key                                                     default none
 *    onFailure               park, block, skip                                             default park
 *    deadRetention           how long dead letters are kept                                default 14d
 *    outageBrake             on, off                                                       default on
 *    maxInFlight, maxInFlightPerConsumer   popped and not settled; 0: any number           default 0
 */
export const defaultGroupPolicy: GroupPolicy = Object.freeze({
  assignor: 'sticky',
  sessionMs: 6_000,
  maxAttempts: 16,
  backoff: 'exp:1s..10m',
  invisibleMs: 30_000,
  order: 'none',
  onFailure: 'park',
  deadRetentionMs: 14 * 86_400_000,
  outageBrake: 'on',
  maxInFlight: 0,
  maxInFlightPerConsumer: 0,
})

type Parse = (value: string, key: string) => Partial<GroupPolicy>

const most = Number.MAX_SAFE_INTEGER

const keys: Readonly<Record<string, Parse>> = {
  assignor: (value) => ({ assignor: value }),
  sessionTimeout: (value, key) => ({ sessionMs: duration(value, key, [100, 600_000]) }),
  maxAttempts: (value, key) => ({ maxAttempts: count(value, key, [1, 1_000]) }),
  backoff: (value, key) => ({ backoff: backoff(value, key) }),
  invisible: (value, key) => ({ invisibleMs: duration(value, key, [1, 43_200_000]) }),
  order: (value, key) => ({ order: word(value, key, ['none', 'key']) }),
  onFailure: (value, key) => ({ onFailure: word(value, key, ['park', 'block', 'skip']) }),
  deadRetention: (value, key) => ({ deadRetentionMs: duration(value, key, [1, most]) }),
  outageBrake: (value, key) => ({ outageBrake: word(value, key, ['on', 'off']) }),
  maxInFlight: (value, key) => ({ maxInFlight: count(value, key, [0, most]) }),
  maxInFlightPerConsumer: (value, key) => ({
    maxInFlightPerConsumer: count(value, key, [0, most]),
  }),
}

export interface PolicyBase {
  readonly policy: GroupPolicy
  /** Names of the assignors that users brought. */
  readonly modules: Iterable<string>
}

/** `base` with the keys of `config`. @throws MqError `invalid_config` naming the key */
export function groupPolicyOf(
  config: Readonly<Record<string, string>>,
  base: PolicyBase = { policy: defaultGroupPolicy, modules: [] },
): GroupPolicy {
  let { policy } = base
  for (const [key, value] of Object.entries(config)) {
    const parse = Object.hasOwn(keys, key) ? keys[key] : undefined
    if (parse === undefined) throw unknownKey('group', { key, known: Object.keys(keys) })
    policy = { ...policy, ...parse(value, key) }
  }
  if (config['assignor'] !== undefined) checkAssignor(policy.assignor, base.modules)
  return policy
}

function checkAssignor(name: string, modules: Iterable<string>): void {
  const known = [...assignorNames, ...modules]
  if (known.includes(name)) return
  const near = nearest(name, known)
  const hint = near === undefined ? `there are ${known.join(', ')}` : `did you mean ${near}?`
  throw invalidValue('assignor', name, `is not an assignor of this coordinator: ${hint}`)
}

function duration(value: string, key: string, [low, high]: readonly [number, number]): number {
  const ms = msOf(value)
  if (Number.isNaN(ms))
    throw invalidValue(key, value, 'is not a time: write 200ms, 5s, 2m, 72h or 14d')
  if (ms < low || ms > high) throw invalidValue(key, value, `must be ${low} to ${high} ms`)
  return ms
}

function count(value: string, key: string, [low, high]: readonly [number, number]): number {
  const number = /^\d{1,16}$/.test(value) ? Number(value) : Number.NaN
  if (!(number >= low && number <= high))
    throw invalidValue(key, value, `must be a whole number from ${low} to ${high}`)
  return number
}

function word<const Words extends readonly string[]>(
  value: string,
  key: string,
  words: Words,
): Words[number] {
  if (!words.includes(value)) throw invalidValue(key, value, `must be one of ${words.join(', ')}`)
  return value
}

/** A back-off is kept as it is written; here it is only checked. */
function backoff(value: string, key: string): string {
  const range = /^exp:([^.]+)\.\.([^.]+)$/.exec(value)
  const times = range === null ? value.split(',') : [range[1] ?? '', range[2] ?? '']
  const ms = times.map(msOf)
  const isRising = range === null || (ms[0] ?? 0) <= (ms[1] ?? 0)
  const isFine = value.length <= 256 && isRising && ms.every((each) => each >= 1 && each <= most)
  if (!isFine)
    throw invalidValue(key, value, 'is not a back-off: write exp:1s..10m, or 200ms, or 1s,10s,1m')
  return value
}
