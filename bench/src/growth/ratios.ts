/**
 * Comparisons within one run, by processor time: unlike time on the clock it hardly depends on what else a machine does.
 * What a message costs the real path ÷ what it costs the stripped one; and what it costs when ten times as many are sent.
 */
import path from 'node:path'
import { closeAll, present } from '@popmq/kit'
import { createTopics, measure, topicName } from '../measure.ts'
import type { MeasuredPath } from '../path.ts'
import { openPopmqPath } from '../popmq-path.ts'
import { processUsage } from '../process-usage.ts'
import { openStrippedPath } from '../stripped-path.ts'
import { median, rounded } from '../summary.ts'
import type { Settings } from '../workload.ts'

export interface RatiosRequest {
  /** The `popmq` program, a JavaScript file. */
  readonly popmq: string
  /** An empty folder. */
  readonly data: string
  /** Of one run of a pair; ten times as many where messages grow. */
  readonly messages: number
  /** Of the real and the stripped path, behind one that warms up; half as many of few and many messages. */
  readonly pairs: number
}

/** Each is the median of its pairs. */
export interface Ratios {
  /** Processor time of the server for a message: real ÷ stripped. */
  readonly server: Pairs
  /** The same, of all processes of the path. */
  readonly path: Pairs
  /** Messages per second: real ÷ stripped. Only told: it depends on what else the machine does. */
  readonly rate: Pairs
  /** Processor time of all processes for a message: of ten times as many ÷ as they are. */
  readonly tenTimes: Pairs
}

export interface Pairs {
  readonly ratio: number
  readonly pairs: readonly number[]
}

const times = 10
const settings = {
  ...{ workload: 'end-to-end', sizeBytes: 100, batch: 1_000, acks: 'disk', runs: 1, keyed: true },
} as const satisfies Partial<Settings>

/** Generous: only what is several times slower goes beyond. */
export const ceilings = { server: 4, path: 5, tenTimes: 2 }

const costs = {
  server: 'what a message costs the server, beside the stripped one',
  path: 'what a message costs all processes, beside the stripped ones',
  tenTimes: 'what each message costs when ten times as many are sent',
}

/** What is wrong with ratios, as sentences. */
export function wrongRatios(ratios: Ratios): readonly string[] {
  return (['server', 'path', 'tenTimes'] as const)
    .filter((name) => !(ratios[name].ratio <= ceilings[name]))
    .map((name) => {
      const { ratio } = ratios[name]
      return `${costs[name]}: ${ratio} times as much, at most ${ceilings[name]} are right`
    })
}

/** @throws MqError what the processes throw */
export async function measureRatios(request: RatiosRequest): Promise<Ratios> {
  const opened: MeasuredPath[] = []
  try {
    const nodeFlags = (): readonly string[] => []
    const { popmq, data } = request
    const served = { popmq, servers: undefined, data: path.join(data, 'data'), nodeFlags }
    const real = await openPopmqPath({ ...served, acks: settings.acks })
    opened.push(real)
    const stripped = await openStrippedPath(data, nodeFlags)
    opened.push(stripped)
    const turns = new Turns([real, stripped], request)
    await createTopics(real, turns.topics)
    const beside = await turns.beside()
    const grown = await turns.grown()
    return { ...beside, tenTimes: grown }
  } finally {
    await closeAll(opened)
  }
}

/** What each message of a run cost, in ms of a processor, and how fast it was. */
interface Cost {
  readonly serverMs: number
  /** The clients, too. */
  readonly allMs: number
  readonly messagesPerSecond: number
}

class Turns {
  readonly #real: MeasuredPath
  readonly #stripped: MeasuredPath
  readonly #request: RatiosRequest
  #run = 0

  constructor([real, stripped]: readonly [MeasuredPath, MeasuredPath], request: RatiosRequest) {
    this.#real = real
    this.#stripped = stripped
    this.#request = request
  }

  /** Of all runs. */
  get topics(): readonly string[] {
    const runs = 4 * (this.#request.pairs + 1)
    return Array.from({ length: runs }, (_, run) => topicName(run))
  }

  async beside(): Promise<Omit<Ratios, 'tenTimes'>> {
    const { messages } = this.#request
    const pairs = await this.#pairs(
      this.#request.pairs,
      () => this.#measure(this.#real, messages),
      () => this.#measure(this.#stripped, messages),
    )
    return {
      server: ratioOf(pairs, 'serverMs'),
      path: ratioOf(pairs, 'allMs'),
      rate: ratioOf(pairs, 'messagesPerSecond'),
    }
  }

  async grown(): Promise<Pairs> {
    const { messages } = this.#request
    const pairs = await this.#pairs(
      Math.ceil(this.#request.pairs / 2),
      () => this.#measure(this.#real, messages * times),
      () => this.#measure(this.#real, messages),
    )
    return ratioOf(pairs, 'allMs')
  }

  /** The sides take turns at being first; the first pair warms up. */
  async #pairs(
    count: number,
    one: () => Promise<Cost>,
    other: () => Promise<Cost>,
  ): Promise<readonly (readonly [Cost, Cost])[]> {
    const pairs: (readonly [Cost, Cost])[] = []
    for (let pair = 0; pair <= count; pair += 1) {
      if (pair % 2 === 0) pairs.push([await one(), await other()])
      else {
        const second = await other()
        pairs.push([await one(), second])
      }
    }
    return pairs.slice(1)
  }

  async #measure(path: MeasuredPath, messages: number): Promise<Cost> {
    const before = await spentMs(path)
    const { messagesPerSecond } = await measure(path, this.#run++, { ...settings, messages })
    const after = await spentMs(path)
    return {
      serverMs: (after.serverMs - before.serverMs) / messages,
      allMs: (after.allMs - before.allMs) / messages,
      messagesPerSecond,
    }
  }
}

/** So far. */
async function spentMs({ pids }: MeasuredPath): Promise<Omit<Cost, 'messagesPerSecond'>> {
  const server = present(pids.server, 'its own server serves the path')
  const usages = await Promise.all([server, ...pids.clients].map(processUsage))
  return {
    serverMs: usages[0]?.cpuMs ?? NaN,
    allMs: usages.reduce((sum, { cpuMs }) => sum + cpuMs, 0),
  }
}

function ratioOf(pairs: readonly (readonly [Cost, Cost])[], of: keyof Cost): Pairs {
  const ratios = pairs.map(([one, other]) => rounded(one[of] / other[of]))
  return { ratio: rounded(median(ratios)), pairs: ratios }
}
