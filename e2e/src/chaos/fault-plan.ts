import { between, type Random } from '@popmq/kit'

/**
 *   kill-broker        kill −9 of a broker, started again
 *   pause-broker       SIGSTOP of a broker for a while, then SIGCONT
 *   term-broker        SIGTERM of a broker, started again
 *   kill-coordinator   kill −9 of the coordinator, started again
 *   purge              messages that every reader has read are made unreadable
 *   restart-all        every process is ended, some by kill −9 and some by SIGTERM, and all are started again
 */
export const faultKinds = [
  'kill-broker',
  'pause-broker',
  'term-broker',
  'kill-coordinator',
  'purge',
  'restart-all',
] as const
export type FaultKind = (typeof faultKinds)[number]

/** One fault, drawn before it happens: the same seed gives the same faults in the same order. */
export interface FaultPlan {
  readonly kind: FaultKind
  /** How long all is left in peace before it. */
  readonly afterMs: number
  /** How long it lasts: until what was ended is started again, or what was stopped goes on. */
  readonly lastsMs: number
  /** Id of the broker that it hits, from 1. */
  readonly broker: number
  /** For each process of a restart of everything, the coordinator first: whether it is by kill −9. */
  readonly kills: readonly boolean[]
  /** How much of what may be purged is, in (0, 1]. */
  readonly share: number
}

const shortestPauseMs = 500
const longestPauseMs = 8_000
/** Each kind comes as often as this, in an order of its own, before all come again. */
const round: readonly FaultKind[] = [
  'kill-broker',
  'kill-broker',
  'kill-broker',
  'pause-broker',
  'pause-broker',
  'term-broker',
  'term-broker',
  'kill-coordinator',
  'kill-coordinator',
  'purge',
  'purge',
  'restart-all',
]

/** Faults without an end. */
export function* planFaults(random: Random, brokers: number): Generator<FaultPlan, never> {
  for (;;) {
    for (const kind of shuffled(round, random)) {
      yield {
        kind,
        afterMs: between(random, 300, 3_000),
        lastsMs:
          kind === 'pause-broker'
            ? between(random, shortestPauseMs, longestPauseMs)
            : between(random, 0, 1_500),
        broker: between(random, 1, brokers),
        kills: Array.from({ length: brokers + 1 }, () => random.next() < 0.6),
        share: 1 - random.next(),
      }
    }
  }
}

function shuffled<T>(items: readonly T[], random: Random): T[] {
  return items
    .map((item) => ({ item, at: random.next() }))
    .toSorted((a, b) => a.at - b.at)
    .map(({ item }) => item)
}
