import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { closeAll, deferred } from '@popmq/kit'
import { MqError } from '@popmq/client'
import { type Machine, thisMachine } from './machine.ts'
import {
  createTopics,
  manyTopicNames,
  measure,
  measureTopics,
  type Run,
  topicName,
} from './measure.ts'
import type { MeasuredPath } from './path.ts'
import { openPopmqPath, type PopmqPath } from './popmq-path.ts'
import { type Profiled, profileFlags, readProfiles } from './profiled.ts'
import { type ServerMemory, serverMemory } from './server-memory.ts'
import { openStrippedPath } from './stripped-path.ts'
import { rounded, type Summary, summarize } from './summary.ts'
import type { Settings } from './workload.ts'

export interface BenchRequest extends Settings {
  /** The `popmq` program, a JavaScript file. */
  readonly popmq: string
  /** Coordinators of a running cluster. @defaultValue one is started for the measurement */
  readonly servers?: string
  /** Where a folder for the data is made and removed again. @defaultValue the system's folder for temporary files */
  readonly data?: string
  /** Measures the stripped path, too, run by run beside the real one. */
  readonly besideStripped: boolean
  /** Of many-topics: whether topics take turns message by message or batch by batch. */
  readonly turns: 'message' | 'batch'
  /** A folder for CPU profiles; they slow everything down. */
  readonly profiles?: string
  /** Told of each run as it ends. */
  readonly onRun: (run: Run, isWarmUp: boolean) => Promise<void>
  /** Stops the measurement. */
  readonly signal: AbortSignal
}

export interface BenchReport extends Summary {
  readonly workload: Settings['workload']
  readonly settings: Omit<Settings, 'workload'>
  readonly machine: Machine
  /** Where data was kept, under a name of its own: on a disk in memory nothing is ever waited for. */
  readonly dataFolder: string
  /** The path that stands beside, and messagesPerSecond ÷ its own. */
  readonly beside?: Summary & { readonly path: Run['path'] }
  readonly ratio?: number
  /** Of the server that was started, over all runs; absent with a running cluster and where the system does not tell. */
  readonly serverMemory?: ServerMemory
  readonly profiles: readonly Profiled[]
}

interface Measured {
  readonly runs: readonly Run[]
  readonly memory: ServerMemory | undefined
}

/** Measures. @throws MqError `aborted`, and what the processes throw */
export async function runBench(request: BenchRequest): Promise<BenchReport> {
  const startedAt = Date.now()
  const data = await mkdtemp(path.join(request.data ?? tmpdir(), 'popmq-bench-'))
  try {
    const measured =
      request.workload === 'many-topics'
        ? await runTopics(request, data)
        : await runPaths(request, data)
    return {
      ...reportOf(request, measured),
      profiles: readProfiles(request.profiles, { startedAt }),
    }
  } finally {
    await rm(data, { recursive: true, force: true })
  }
}

async function runPaths(request: BenchRequest, data: string): Promise<Measured> {
  const { runs, besideStripped } = request
  const nodeFlags = profileFlags(request.profiles)
  const opened: MeasuredPath[] = []
  try {
    const popmq = await openPopmqPath({
      ...request,
      servers: request.servers,
      data: path.join(data, 'data'),
      nodeFlags,
    })
    opened.push(popmq)
    if (besideStripped) opened.push(await openStrippedPath(data, nodeFlags))
    const topics = Array.from({ length: runs + 1 }, (_, run) => topicName(run))
    const removeTopics = await createTopics(popmq, topics)
    const results: Run[] = []
    for (let run = 0; run <= runs; run += 1) {
      // The paths take turns at being first.
      for (const measured of run % 2 === 0 ? opened : opened.toReversed()) {
        await step(request, results, measure(measured, run, request))
      }
    }
    if (request.servers !== undefined) await removeTopics()
    return { runs: results, memory: await serverMemory(popmq) }
  } finally {
    await closeAll(opened)
  }
}

async function runTopics(request: BenchRequest, data: string): Promise<Measured> {
  const nodeFlags = profileFlags(request.profiles)
  let popmq: PopmqPath | undefined
  try {
    popmq = await openPopmqPath({
      ...request,
      servers: request.servers,
      data: path.join(data, 'data'),
      nodeFlags,
    })
    const one = [topicName(0)]
    const many = manyTopicNames()
    const removeTopics = await createTopics(popmq, [...one, ...many])
    const results: Run[] = []
    for (let run = 0; run <= request.runs; run += 1) {
      for (const topics of run % 2 === 0 ? [one, many] : [many, one]) {
        const given = { settings: request, topics, turns: request.turns }
        await step(request, results, measureTopics(popmq, run, given))
      }
    }
    if (request.servers !== undefined) await removeTopics()
    return { runs: results, memory: await serverMemory(popmq) }
  } finally {
    await popmq?.close()
  }
}

/** Run 0 warms up: it is told and not counted. @throws MqError `aborted` as soon as the measurement is stopped */
async function step(
  { onRun, signal }: BenchRequest,
  results: Run[],
  measuring: Promise<Run>,
): Promise<void> {
  const stopped = deferred<undefined>()
  const stop = (): void => stopped.resolve(undefined)
  signal.addEventListener('abort', stop, { once: true })
  try {
    const run = await Promise.race([measuring, stopped.promise])
    if (run === undefined || signal.aborted)
      throw new MqError('aborted', 'the measurement was stopped')
    if (run.run > 0) results.push(run)
    await onRun(run, run.run === 0)
  } finally {
    signal.removeEventListener('abort', stop)
  }
}

function reportOf(
  request: BenchRequest,
  { runs, memory }: Measured,
): Omit<BenchReport, 'profiles'> {
  const { workload, sizeBytes, batch, acks, messages, keyed } = request
  const of = (path: Run['path']): Summary | undefined => {
    const rates = runs.filter((run) => run.path === path).map((run) => run.messagesPerSecond)
    return rates.length === 0 ? undefined : summarize(rates)
  }
  const [own, other] =
    workload === 'many-topics'
      ? (['many topics', 'one topic'] as const)
      : (['popmq', 'stripped'] as const)
  const summary = of(own) ?? summarize([])
  const beside = of(other)
  const comparison =
    beside === undefined
      ? {}
      : {
          beside: { path: other, ...beside },
          ratio: rounded(summary.messagesPerSecond / beside.messagesPerSecond),
        }
  const settings = { sizeBytes, batch, acks, messages, runs: request.runs, keyed }
  return {
    workload,
    settings,
    machine: thisMachine(),
    dataFolder: request.data ?? tmpdir(),
    ...comparison,
    ...(memory === undefined ? {} : { serverMemory: memory }),
    ...summary,
  }
}
