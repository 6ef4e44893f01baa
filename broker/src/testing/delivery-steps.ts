import type { CrashMode } from '@popmq/kit/testing'
import type { SettleVerb } from '@popmq/protocol'
import type { SettleStep } from './plain-settling.ts'

/** One step of the model of deliveries. */
export type DeliveryStep =
  | {
      readonly do: 'send'
      readonly partition: number
      readonly count: number
      readonly isRed: boolean
    }
  | {
      readonly do: 'pop'
      readonly group: number
      readonly consumer: number
      readonly max: number
      readonly invisibleMs: number
    }
  | ({ readonly do: 'settle' } & SettleStep)
  | { readonly do: 'pass'; readonly durationMs: number }
  | {
      readonly do: 'reset'
      readonly group: number
      readonly partition: number
      readonly share: number
    }
  | { readonly do: 'purge'; readonly partition: number; readonly share: number }
  | {
      readonly do: 'changeRetry'
      readonly group: number
      readonly pick: number
      readonly to: 'now' | 'dead'
    }
  | { readonly do: 'takeBack'; readonly group: number; readonly pick: number }
  | { readonly do: 'restart'; readonly crash: CrashMode | undefined }
  | { readonly do: 'check' }

const send = (partition: number, count: number): DeliveryStep => ({
  do: 'send',
  partition,
  count,
  isRed: false,
})
const pop = (group: number, max: number): DeliveryStep => {
  return { do: 'pop', group, consumer: 0, max, invisibleMs: 700 }
}
const settle = (verb: SettleVerb, ...picks: number[]): DeliveryStep => {
  const how = { delayMs: verb === 'nack' ? 0 : undefined, retriable: true, isForged: false }
  return { do: 'settle', group: 0, verb, picks, ...how }
}
const pass = (durationMs: number): DeliveryStep => ({ do: 'pass', durationMs })
const reset = (group: number, partition: number, share: number): DeliveryStep => {
  return { do: 'reset', group, partition, share }
}
const check: DeliveryStep = { do: 'check' }

/** Each went wrong once. */
export const examples: readonly (readonly DeliveryStep[])[] = [
  // What was free and what was new, in one pop: the new one was passed by.
  [send(0, 1), pop(0, 1), pass(700), send(0, 1), pop(0, 2), check],
  // What was settled ahead of all took a place in the answer.
  [
    send(1, 1),
    pop(0, 1),
    { do: 'restart', crash: 'lose' },
    settle('ack', 0),
    send(1, 2),
    pop(0, 2),
  ],
  // A reset forward counted what was in hand as passed by.
  [send(1, 1), pop(0, 1), reset(0, 1, 0.34), pass(50), settle('ack', 0), check],
  // A purge before the group did anything: what went was told as ready.
  [pop(0, 1), send(0, 2), { do: 'purge', partition: 0, share: 0.5 }, check],
  // A purge, then a reset back to what is left.
  [send(1, 2), { do: 'purge', partition: 1, share: 0.5 }, reset(1, 1, 0), check, pop(1, 2)],
  // An operator took a lease away: that delivery was forgotten with the restart.
  [
    send(0, 1),
    pop(0, 1),
    { do: 'takeBack', group: 0, pick: 0 },
    pop(0, 1),
    pass(700),
    { do: 'restart', crash: undefined },
    pop(0, 1),
    pass(700),
    check,
  ],
]
