import { type Log, systemClock, systemRandom } from '@popmq/kit'
import {
  ZookeeperRegistry,
  type ZookeeperRegistryOptions,
} from '../zookeeper/zookeeper-registry.ts'

let lastRoot = 0

/** A root for one test, so that a server can be shared. */
export function freshRoot(): string {
  lastRoot += 1
  return `/tests/${process.pid}/case-${lastRoot}`
}

/** A registry with a root of its own, on the clock of the machine: that of ZooKeeper is real too. */
export function testRegistry(
  hosts: string,
  options: Partial<ZookeeperRegistryOptions> = {},
): ZookeeperRegistry {
  const root = hosts.includes('/') ? '' : freshRoot()
  const ports = { clock: systemClock, random: systemRandom }
  return new ZookeeperRegistry({ hosts: hosts + root, sessionMs: 6_000, ...ports, ...options })
}

/** A log that can be waited for. */
export class RecordedLog implements Log {
  readonly #seen: string[] = []
  #waiting: { event: string; count: number; resolve: () => void }[] = []

  readonly error = (event: string): void => this.#note(event)
  readonly warn = (event: string): void => this.#note(event)
  readonly info = (event: string): void => this.#note(event)
  readonly debug = (event: string): void => this.#note(event)

  count(event: string): number {
    return this.#seen.filter((seen) => seen === event).length
  }

  /** Resolves once `event` was logged `count` times. */
  until(event: string, count = 1): Promise<void> {
    return new Promise((resolve) => {
      if (this.count(event) >= count) resolve()
      else this.#waiting.push({ event, count, resolve })
    })
  }

  #note(event: string): void {
    this.#seen.push(event)
    const due = this.#waiting.filter((one) => this.count(one.event) >= one.count)
    this.#waiting = this.#waiting.filter((one) => !due.includes(one))
    for (const { resolve } of due) resolve()
  }
}
