import type { ResponderEvent } from '@popmq/transport'
import { collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import type { CoordinatorHealth } from './coordinator.ts'

/** What `/metrics` shows of one coordinator. */
export interface CoordinatorMetrics {
  readonly contentType: string
  text(): Promise<string>
  observe(event: ResponderEvent): void
}

/** Counts are read from `health` when they are asked for; before the coordinator runs there are none. */
export function coordinatorMetrics(
  health: () => CoordinatorHealth | undefined,
): CoordinatorMetrics {
  const register = new Registry()
  collectDefaultMetrics({ register })
  const gauge = (name: string, help: string, read: (now: CoordinatorHealth) => number): void => {
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
  gauge('leading', '1 while this coordinator leads.', ({ isLeading }) => (isLeading ? 1 : 0))
  gauge('leader_epoch', 'The epoch under which it leads.', ({ leaderEpoch }) => leaderEpoch)
  gauge('topics', 'Topics.', ({ topics }) => topics)
  gauge('partitions', 'Partitions of all topics.', ({ partitions }) => partitions)
  gauge('topics_version', 'How many changes of topics there have been.', ({ version }) => version)
  gauge('brokers', 'Brokers that have ever opened.', ({ brokers }) => brokers)
  gauge(
    'live_brokers',
    'Brokers with a session over a standing connection.',
    ({ liveBrokers }) => liveBrokers,
  )
  gauge('held_requests', 'Requests that wait for news.', ({ heldRequests }) => heldRequests)
  gauge('connections', 'Open connections.', ({ connections }) => connections)
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
