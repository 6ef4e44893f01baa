import type { Plant } from './plant.ts'
import { answerOneLate, type Method, type MethodName, patchMethod } from './product-patch.ts'

/** Bugs in the broker's own code. */
export const brokerPlants: readonly Plant[] = [
  patched('ack-before-sync', 'whoever waits for a sync is told at once', {
    at: inBroker('log/commit-log.js', 'CommitLog', 'whenSynced'),
    change: () => () => Promise.resolve(),
  }),
  patched(
    'received-told-as-disk',
    'a producer that asked for disk is answered when the leader has its message in memory',
    {
      at: inBroker('replica-set.js', 'ReplicaSet', 'whenSynced'),
      change: () => () => Promise.resolve(),
    },
  ),
  patched(
    'next-offsets-not-rebuilt',
    'next offsets come from the checkpoint alone, not from the log behind it',
    {
      at: inBroker('sequencers/index.js', 'NextOffsets', 'observe'),
      change: () => () => undefined,
    },
  ),
  patched(
    'dedup-ids-not-rebuilt',
    'dedup ids come from the checkpoint alone, not from the log behind it',
    {
      at: inBroker('sequencers/index.js', 'DedupIds', 'observe'),
      change: () => () => undefined,
    },
  ),
  patched(
    'dedup-ids-not-in-checkpoint',
    'dedup ids below the checkpoint are forgotten at a restart',
    {
      at: inBroker('sequencers/index.js', 'DedupIds', 'restore'),
      change: () => () => undefined,
    },
  ),
  patched(
    'window-of-four-runs',
    'of five runs under way the oldest is no longer known when it is sent again',
    {
      at: inBroker('sequencers/index.js', 'ProducerRuns', 'judge'),
      change: forgetFifthRun,
    },
  ),
  patched('sent-again-stored-again', 'a run that is sent again is appended again', {
    at: inBroker('sequencers/index.js', 'ProducerRuns', 'judge'),
    change: (judge) =>
      function (run) {
        const verdict = judge.call(this, run) as Verdict
        return verdict.kind === 'duplicate' ? { kind: 'append' } : verdict
      },
  }),
  patched('horizon-one-too-far', 'a purge takes one message more than it should', {
    at: inBroker('replica-set.js', 'ReplicaSet', 'raiseLow'),
    change: (raiseLow) =>
      function (horizons) {
        const set = this as { bounds(key: number): { readonly high: number } }
        const further = (horizons as readonly Horizon[]).map(({ key, low }) => {
          return { key, low: Math.min(low + 1, set.bounds(key).high) }
        })
        return raiseLow.call(this, further)
      },
  }),
  patched('cleaning-drops-the-living', 'a cleaned segment goes without its survivors', {
    at: inBroker('appender.js', 'Appender', 'appendMoved'),
    change: () => () => undefined,
  }),
  patched(
    'checkpoint-of-older-views',
    'a checkpoint holds the consume queues as they were at the one before',
    {
      at: inBroker('consume-queue/index.js', 'ConsumeQueues', 'encode'),
      change: answerOneLate,
    },
  ),
]

interface Verdict {
  readonly kind: string
}

interface Horizon {
  readonly key: number
  readonly low: number
}

interface NumberedRun {
  readonly producerId: number
  readonly producerEpoch: number
  readonly key: number
  readonly base: number
}

/** Keeps count of the runs that each window was asked to append, and gives the fifth from behind out as new. */
function forgetFifthRun(judge: Method): Method {
  const seen = new WeakMap<object, Map<string, number[]>>()
  return function (run) {
    const verdict = judge.call(this, run) as Verdict
    const { producerId, producerEpoch, key, base } = run as NumberedRun
    const windows = seen.get(this as object) ?? new Map<string, number[]>()
    seen.set(this as object, windows)
    const name = `${producerId} ${producerEpoch} ${key}`
    const bases = windows.get(name) ?? []
    windows.set(name, bases)
    if (verdict.kind === 'append') bases.push(base)
    const isForgotten =
      verdict.kind === 'duplicate' && bases.length > 4 && !bases.slice(-4).includes(base)
    return isForgotten ? { kind: 'append' } : verdict
  }
}

function patched(
  name: string,
  what: string,
  how: { at: MethodName; change: (original: Method) => Method },
): Plant {
  return { name, what, patch: () => patchMethod(how.at, how.change) }
}

function inBroker(path: string, className: string, method: string): MethodName {
  return { package: '@popmq/broker', module: `core/${path}`, className, method }
}
