import type { ResponderEvent } from '@popmq/transport'
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { Broker } from './broker.ts'

/** What a broker tells Prometheus: `popmq_broker_…`. */
export class Metrics {
  readonly #registry = new Registry()
  readonly #requests: Counter<'request' | 'error'>
  readonly #seconds: Histogram<'request'>
  readonly #connections: Gauge
  readonly #figures = new Map<string, Gauge>()

  constructor() {
    const registers = [this.#registry]
    this.#requests = new Counter({
      name: 'popmq_broker_requests_total',
      help: 'Requests answered, by kind and error name (none: answered well)',
      labelNames: ['request', 'error'],
      registers,
    })
    this.#seconds = new Histogram({
      name: 'popmq_broker_request_seconds',
      help: 'Time from the arrival of a request to its answer; held requests included',
      labelNames: ['request'],
      buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
      registers,
    })
    this.#connections = new Gauge({
      name: 'popmq_broker_connections',
      help: 'Open client connections',
      registers,
    })
    collectDefaultMetrics({ register: this.#registry })
  }

  readonly contentType = this.#registry.contentType

  observe(event: ResponderEvent): void {
    if (event.kind === 'answered') {
      this.#requests.inc({ request: event.name, error: event.error ?? 'none' })
      this.#seconds.observe({ request: event.name }, event.tookMs / 1_000)
    } else if (event.kind === 'hello') this.#connections.inc()
    else if (event.kind === 'closed') this.#connections.dec()
  }

  /** The text format, with the figures of the broker as they are now. */
  text(broker: Broker | undefined): Promise<string> {
    for (const [name, value] of Object.entries(broker?.set?.stats() ?? {}))
      this.#figure(name).set(value)
    return this.#registry.metrics()
  }

  #figure(name: string): Gauge {
    const known = this.#figures.get(name)
    if (known !== undefined) return known
    const snake = name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
    const figure = new Gauge({
      name: `popmq_broker_${snake}`,
      help: `${snake.replaceAll('_', ' ')} of the replica set`,
      registers: [this.#registry],
    })
    this.#figures.set(name, figure)
    return figure
  }
}
