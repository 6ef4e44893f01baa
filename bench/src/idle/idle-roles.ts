import { readFileSync } from 'node:fs'
import path from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { MqError } from '@popmq/client'
import { closeAll, present } from '@popmq/kit'
import { sumOf } from '../metrics-page.ts'
import { cpuPercent, processUsage } from '../process-usage.ts'
import { RoleProcess } from '../role-process.ts'
import type { NodeFlags } from '../path.ts'

/** What the broker has: resident as it comes; in use when its garbage has been collected, in the heap and outside of it. */
export interface Footprint {
  readonly rssBytes: number
  readonly usedBytes: number
}

/** Of one processor, in percent. */
export interface CpuShares {
  readonly broker: number
  readonly coordinator: number
}

export interface IdleRolesOptions {
  readonly popmq: string
  readonly data: string
  readonly nodeFlags: NodeFlags
}

const collector = new URL('garbage-collector.js', import.meta.url)
const lookMs = 200
const pageTries = 100
/** Nothing more came for so long: it never will. */
const stuckMs = 60_000
/** Files that a process opens beside its connections. */
const otherFiles = 256

/** A coordinator and a broker in a process each, so that what connections cost is the broker's alone. */
export class IdleRoles {
  readonly #coordinator: RoleProcess
  readonly #broker: RoleProcess

  private constructor(coordinator: RoleProcess, broker: RoleProcess) {
    this.#coordinator = coordinator
    this.#broker = broker
  }

  static async start({ popmq, data, nodeFlags }: IdleRolesOptions): Promise<IdleRoles> {
    const place = (name: string): string[] => [
      ...['--id', '1', '--listen', '127.0.0.1:0'],
      ...['--data', path.join(data, name)],
    ]
    const coordinator = await RoleProcess.start({
      popmq,
      command: ['coordinator', ...place('coordinator')],
      nodeFlags: nodeFlags('popmq-coordinator'),
    })
    const servers = addressOf(coordinator)
    try {
      const broker = await RoleProcess.start({
        popmq,
        command: ['broker', '--coordinators', servers, ...place('broker')],
        nodeFlags: ['--expose-gc', '--import', collector.href, ...nodeFlags('popmq-broker')],
      })
      return new IdleRoles(coordinator, broker)
    } catch (error) {
      await coordinator.close()
      throw error
    }
  }

  get servers(): string {
    return addressOf(this.#coordinator)
  }

  get lost(): Promise<MqError> {
    return Promise.race([this.#coordinator.lost, this.#broker.lost])
  }

  /**
   * The broker's metrics. One that is busy for seconds with thousands who come at once lets a plain request down.
   * @throws MqError `unreachable` when it does so again and again
   */
  async page(): Promise<string> {
    let why = ''
    for (let count = 0; count < pageTries; count += 1) {
      try {
        const response = await fetch(`http://${addressOf(this.#broker)}/metrics`)
        const page = await response.text()
        if (response.ok) return page
        why = `it answered ${response.status}`
      } catch (error) {
        why = String(error)
      }
      await setTimeout(lookMs)
    }
    throw new MqError('unreachable', `the broker did not tell its metrics: ${why}`)
  }

  async brokerCpuMs(): Promise<number> {
    return (await processUsage(this.#broker.pid)).cpuMs
  }

  async footprint(): Promise<Footprint> {
    const { rssBytes } = await processUsage(this.#broker.pid)
    this.#broker.signal('SIGUSR2')
    // A signal is taken between requests: behind the first answer it has been.
    await this.page()
    const page = await this.page()
    const usedBytes =
      sumOf('nodejs_heap_size_used_bytes', [page]) + sumOf('nodejs_external_memory_bytes', [page])
    return { rssBytes, usedBytes }
  }

  async sharesFor(ms: number): Promise<CpuShares> {
    const read = (): Promise<Awaited<ReturnType<typeof processUsage>>[]> =>
      Promise.all([this.#broker, this.#coordinator].map(({ pid }) => processUsage(pid)))
    const before = await read()
    await setTimeout(ms)
    const after = await read()
    const [broker = NaN, coordinator = NaN] = before.map((from, index) =>
      cpuPercent(from, present(after[index], 'both are read twice')),
    )
    return { broker, coordinator }
  }

  /** Waits until a gauge of the broker is so high. @throws MqError `timed_out` when it does not grow any more */
  async untilGauge(name: string, least: number): Promise<void> {
    let before = -1
    let grewMs = performance.now()
    for (;;) {
      const value = sumOf(name, [await this.page()])
      if (value >= least) return
      const nowMs = performance.now()
      if (value > before) grewMs = nowMs
      else if (nowMs - grewMs > stuckMs)
        throw new MqError('timed_out', `${name} came to ${value} of ${least}, then no further`)
      before = Math.max(before, value)
      await setTimeout(lookMs)
    }
  }

  close(): Promise<void> {
    return closeAll([this.#coordinator, this.#broker])
  }
}

/** @throws MqError `invalid_request` when a process may not open so many files */
export function checkOpenFiles(connections: number): void {
  const most = parseOpenFiles(readFileSync('/proc/self/limits', 'utf8'))
  if (connections + otherFiles <= most) return
  throw new MqError(
    'invalid_request',
    `${connections} connections need ${connections + otherFiles} open files in one process, and ${most} are allowed: ` +
      'raise that (ulimit -n), or ask for fewer (--connections)',
  )
}

/** Of `/proc/…/limits`: the hard limit, up to which Node.js raises its own. */
export function parseOpenFiles(limits: string): number {
  const hard = /^Max open files\s+\S+\s+(\S+)/m.exec(limits)?.[1]
  return hard === undefined || hard === 'unlimited' ? Infinity : Number(hard)
}

function addressOf({ said }: RoleProcess): string {
  return present(said.address, 'a role names its address')
}
