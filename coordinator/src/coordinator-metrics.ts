import type { ResponderEvent } from '@popmq/transport'
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { CoordinatorHealth } from './coordinator.ts'

/** What `/metrics` shows of one coordinator. */
export interface CoordinatorMetrics {
  readonly contentType: string
  text(): Promise<string>
  observe(event: ResponderEvent): void
}

type Reading = readonly [name: string, help: string, read: (now: CoordinatorHealth) => number]

const gauges: readonly Reading[] = [
  ['leading', '1 while this coordinator leads.', ({ isLeading }) => (isLeading ? 1 : 0)],
  [
    'standby',
    '1 while it knows that another one leads.',
    ({ role }) => (role === 'standby' ? 1 : 0),
  ],
  [
    'leader_epoch',
    'The epoch under which it leads; 0 while it does not.',
    ({ leaderEpoch }) => leaderEpoch,
  ],
  ['topics', 'Topics.', ({ topics }) => topics],
  ['partitions', 'Partitions of all topics.', ({ partitions }) => partitions],
  [
    'topics_version',
    'How many changes of topics, groups and handle keys brokers were told.',
    ({ version }) => version,
  ],
  ['brokers', 'Brokers that have ever opened.', ({ brokers }) => brokers],
  [
    'live_brokers',
    'Brokers with a session over a standing connection.',
    ({ liveBrokers }) => liveBrokers,
  ],
  ['groups', 'Consumer groups.', ({ groups }) => groups],
  ['group_members', 'Members of all groups.', ({ groupMembers }) => groupMembers],
  ['held_requests', 'Requests that wait for news.', ({ heldRequests }) => heldRequests],
  ['connections', 'Open connections.', ({ connections }) => connections],
]

const counters: readonly Reading[] = [
  ['elections_total', 'How often it has taken the lead.', ({ elections }) => elections],
  ['redirects_total', 'Requests refused because it did not lead.', ({ redirects }) => redirects],
  [
    'progress_rounds_total',
    'Rounds of writing progress, as the leader.',
    ({ progress }) => progress.rounds,
  ],
  [
    'progress_seconds_total',
    'Time that these rounds took.',
    ({ progress }) => progress.busyMs / 1_000,
  ],
  [
    'progress_commits_total',
    'Commits to the registry with progress.',
    ({ progress }) => progress.commits,
  ],
  ['progress_nodes_total', 'Nodes written by them.', ({ progress }) => progress.nodes],
]

/** Counts are read from `health` when they are asked for; before the coordinator runs there are none. */
export function coordinatorMetrics(
  health: () => CoordinatorHealth | undefined,
): CoordinatorMetrics {
  const register = new Registry()
  collectDefaultMetrics({ register })
  for (const [name, help, read] of gauges) {
    const collected = new Gauge({
      name: `popmq_coordinator_${name}`,
      help,
      registers: [register],
      collect() {
        const now = health()
        if (now !== undefined) collected.set(read(now))
      },
    })
  }
  for (const [name, help, read] of counters) {
    const collected = new Counter({
      name: `popmq_coordinator_${name}`,
      help,
      registers: [register],
      collect() {
        collected.reset()
        const now = health()
        if (now !== undefined) collected.inc(read(now))
      },
    })
  }
  const seconds = new Histogram({
    name: 'popmq_coordinator_request_seconds',
    help: 'Time from a request to its answer, by request and error; held requests include the wait.',
    labelNames: ['request', 'error'],
    buckets: [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 60],
    registers: [register],
  })
  return {
    contentType: register.contentType,
    text: () => register.metrics(),
    observe(event) {
      if (event.kind !== 'answered') return
      seconds.observe({ request: event.name, error: event.error ?? '' }, event.tookMs / 1_000)
    },
  }
}
