import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { MqError } from '@popmq/client'
import { type Closable, closeAll } from '@popmq/kit'
import { type Machine, thisMachine } from '../machine.ts'
import { median, rounded } from '../summary.ts'
import { checkDisk } from './disk-need.ts'
import { RecoveringServer } from './recovering-server.ts'
import { RecoveryRun, type RecoverySettings, type RecoveryStart } from './recovery-run.ts'

export interface RecoveryBenchRequest extends RecoverySettings {
  readonly popmq: string
  /** As of the other workloads. */
  readonly data?: string
  /** Told of each start. */
  readonly onStart: (start: RecoveryStart) => Promise<void>
  readonly signal: AbortSignal
}

/** Medians. */
export interface StartMedians {
  readonly leadingMs: number
  readonly recoveredMs: number
  readonly servingMs: number
  readonly producedMs: number
  readonly readMs: number
  readonly servedMs: number
  readonly verifiedBytes: number
}

export interface RecoveryBenchReport {
  readonly workload: 'recovery'
  readonly settings: RecoverySettings
  readonly machine: Machine
  readonly dataFolder: string
  readonly filled: {
    readonly messages: number
    readonly seconds: number
    readonly megabytesPerSecond: number
  }
  /** Of the log at the last start. */
  readonly logBytes: number
  readonly afterStop: StartMedians
  readonly afterKill: StartMedians
  /** How long stops in good order took. */
  readonly stopMs: number
  /** Last acknowledged messages that were looked for, and found. */
  readonly checked: number
}

/** Measures. @throws MqError `aborted`, `disk_full` when it would not fit, and what `RecoveryRun` throws */
export async function runRecoveryBench(
  request: RecoveryBenchRequest,
): Promise<RecoveryBenchReport> {
  const { popmq, signal, megabytes, runs } = request
  const dataFolder = request.data ?? tmpdir()
  await checkDisk(dataFolder, { megabytes, stops: 2 * runs })
  const folder = await mkdtemp(path.join(dataFolder, 'popmq-bench-'))
  const opened: Closable[] = []
  const stop = (): void => void closeAll(opened)
  signal.addEventListener('abort', stop, { once: true })
  try {
    const server = await RecoveringServer.on({ popmq, data: path.join(folder, 'data') })
    const measured = new RecoveryRun(server, { settings: request, signal })
    opened.push(server, measured)
    return await measureAll(measured, request)
  } catch (error) {
    throw signal.aborted ? new MqError('aborted', 'the measurement was stopped') : error
  } finally {
    signal.removeEventListener('abort', stop)
    await closeAll(opened)
    await rm(folder, { recursive: true, force: true })
  }
}

async function measureAll(
  measured: RecoveryRun,
  request: RecoveryBenchRequest,
): Promise<RecoveryBenchReport> {
  const { megabytes, sizeBytes, batch, runs, loadMs, signal } = request
  const { messages, fromMs, toMs } = await measured.fill()
  const starts: RecoveryStart[] = []
  for (let run = 1; run <= runs; run += 1) {
    for (const after of ['stop', 'kill'] as const) {
      if (signal.aborted) throw new MqError('aborted', 'the measurement was stopped')
      const start = await measured.measure(after, run)
      starts.push(start)
      await request.onStart(start)
    }
  }
  const stops = starts.flatMap(({ stopMs }) => stopMs ?? [])
  return {
    workload: 'recovery',
    settings: { megabytes, sizeBytes, batch, runs, loadMs },
    machine: thisMachine(),
    dataFolder: request.data ?? tmpdir(),
    filled: {
      messages,
      seconds: rounded((toMs - fromMs) / 1_000),
      megabytesPerSecond: rounded((messages * sizeBytes) / 1_000 / (toMs - fromMs)),
    },
    logBytes: starts.at(-1)?.logBytes ?? 0,
    afterStop: mediansOf(starts.filter(({ after }) => after === 'stop')),
    afterKill: mediansOf(starts.filter(({ after }) => after === 'kill')),
    stopMs: Math.round(median(stops)),
    checked: starts.reduce((sum, { partitionsChecked }) => sum + partitionsChecked, 0),
  }
}

function mediansOf(starts: readonly RecoveryStart[]): StartMedians {
  const of = (name: keyof StartMedians): number =>
    Math.round(median(starts.map((start) => start[name])))
  return {
    leadingMs: of('leadingMs'),
    recoveredMs: of('recoveredMs'),
    servingMs: of('servingMs'),
    producedMs: of('producedMs'),
    readMs: of('readMs'),
    servedMs: of('servedMs'),
    verifiedBytes: of('verifiedBytes'),
  }
}
