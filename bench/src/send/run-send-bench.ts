import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { latencyOfAll, type TailLatency } from '../latency-at-rate/latency-histogram.ts'
import { type Machine, thisMachine } from '../machine.ts'
import { type ClusterRequest, withCluster } from '../measured-cluster.ts'
import { pairRatios } from '../pop/run-pop-bench.ts'
import type { Span } from '../profile.ts'
import { type Profiled, readProfiles } from '../profiled.ts'
import { rounded, type Summary, summarize } from '../summary.ts'
import { SendRounds, type SendSettings } from './send-rounds.ts'

/** One timed run of all that is measured. */
export interface SendRun {
  readonly run: number
  readonly oneByOne: TailLatency
  readonly bare: TailLatency
  readonly seconds: number
  /** With many in flight. */
  readonly messagesPerSecond: number
}

export interface SendBenchRequest extends ClusterRequest, SendSettings {
  /** Told of each run as it ends. */
  readonly onRun: (run: SendRun, isWarmUp: boolean) => Promise<void>
}

/** `Summary` is that of the runs with many in flight. */
export interface SendBenchReport extends Summary {
  readonly workload: 'send'
  readonly settings: SendSettings
  readonly machine: Machine
  readonly dataFolder: string
  /** Of an awaited `send`. */
  readonly oneByOne: TailLatency
  /** A write and an fdatasync of as many bytes. */
  readonly beside: TailLatency & { readonly path: 'bare' }
  /** p50 of `send` ÷ p50 bare, of each run. */
  readonly pairs: readonly number[]
  /** The median of the pairs. */
  readonly ratio: number
  /** What is aimed at: a ratio of at most, and messages per second of at least. */
  readonly aim: { readonly mostRatio: number; readonly leastPerSecond: number }
  readonly profiles: readonly Profiled[]
}

const aim = { mostRatio: 1.5, leastPerSecond: 100_000 }

/** What was recorded, run by run. */
interface Measured {
  /** Histograms. */
  readonly oneByOne: readonly string[]
  readonly bare: readonly string[]
  readonly tookMs: readonly number[]
  readonly spans: readonly Span[]
}

/** Measures. @throws MqError `aborted`, what `SendRounds.check` throws, and what the processes throw */
export async function runSendBench(request: SendBenchRequest): Promise<SendBenchReport> {
  const startedAt = Date.now()
  const folder = await mkdtemp(path.join(request.data ?? tmpdir(), 'popmq-bench-bare-'))
  try {
    const measured = await measureAll(request, path.join(folder, 'bare.log'))
    const profiles = readProfiles(request.profiles, { startedAt, during: measured.spans })
    return { ...reportOf(request, measured), profiles }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** Run 0 warms up: it is told and not counted. */
function measureAll(request: SendBenchRequest, file: string): Promise<Measured> {
  return withCluster(request, async (cluster) => {
    const rounds = await SendRounds.open(request, cluster, file)
    const oneByOne: string[] = []
    const bare: string[] = []
    const tookMs: number[] = []
    for (let run = 0; run <= request.runs; run += 1) {
      // The sides of a pair take turns at being first.
      const isFirst = run % 2 === 0
      const before = isFirst ? undefined : await rounds.bare()
      const single = await rounds.oneByOne()
      const beside = before ?? (await rounds.bare())
      const ms = await rounds.inFlight()
      if (run > 0) {
        oneByOne.push(single)
        bare.push(beside)
        tookMs.push(ms)
      }
      const latencies = { oneByOne: latencyOfAll([single]), bare: latencyOfAll([beside]) }
      const messagesPerSecond = rateOf(request, ms)
      const told = { run, ...latencies, seconds: rounded(ms / 1_000), messagesPerSecond }
      await request.onRun(told, run === 0)
    }
    await rounds.check()
    if (request.servers !== undefined) await rounds.removeAll()
    return { oneByOne, bare, tookMs, spans: rounds.spans.slice(1) }
  })
}

function rateOf({ messages }: SendSettings, ms: number): number {
  return Math.round((messages * 1_000) / ms)
}

function reportOf(
  request: SendBenchRequest,
  { oneByOne, bare, tookMs }: Measured,
): Omit<SendBenchReport, 'profiles'> {
  const { sizeBytes, messages, inFlight, singles, runs } = request
  const p50s = (encoded: readonly string[]): readonly number[] =>
    encoded.map((one) => latencyOfAll([one]).p50Ms)
  return {
    workload: 'send',
    settings: { sizeBytes, messages, inFlight, singles, runs },
    machine: thisMachine(),
    dataFolder: request.data ?? tmpdir(),
    oneByOne: latencyOfAll(oneByOne),
    beside: { path: 'bare', ...latencyOfAll(bare) },
    ...pairRatios(p50s(oneByOne), p50s(bare)),
    ...summarize(tookMs.map((ms) => rateOf(request, ms))),
    aim,
  }
}
