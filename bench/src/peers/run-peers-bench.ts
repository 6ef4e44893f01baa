/** PopMQ and its peers in one run: each measures the workload in turn, with the others idle beside it. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { closeAll, deferred } from '@popmq/kit'
import { MqError } from '@popmq/client'
import { type Machine, thisMachine } from '../machine.ts'
import type { Contender, PeersSettings } from './contender.ts'
import { Field } from './field.ts'
import type { Say } from './installed.ts'
import { absentPeers, chosenPeers, peers } from './peer-list.ts'
import { openPopmq, type PopmqRequest } from './popmq-contender.ts'
import { type PeerRow, peerRows } from './peer-rows.ts'

export interface PeersBenchRequest extends PopmqRequest {
  /** Peers whose names begin so. @defaultValue all */
  readonly only?: readonly string[]
  /** Where a folder for the data is made and removed again. @defaultValue the system's folder for temporary files */
  readonly data?: string
  /** Told of each run as it ends. */
  readonly onRun: (run: PeerTurn, isWarmUp: boolean) => Promise<void>
  readonly say: Say
  /** Stops the measurement. */
  readonly signal: AbortSignal
}

/** One run of one contender. */
export interface PeerTurn {
  readonly path: string
  readonly run: number
  readonly seconds: number
  readonly messagesPerSecond: number
}

export interface PeersBenchReport {
  readonly workload: PeersSettings['workload']
  readonly settings: Omit<PeersSettings, 'workload'>
  readonly machine: Machine
  readonly dataFolder: string
  /** PopMQ first. */
  readonly rows: readonly PeerRow[]
}

/**
 * Measures. A peer that cannot take part or fails on the way has a row that says why.
 * @throws MqError `aborted`, and what PopMQ's own processes throw
 */
export async function runPeersBench(request: PeersBenchRequest): Promise<PeersBenchReport> {
  const { workload, sizeBytes, batch, messages, runs, consumers, processes, only = [] } = request
  const data = await mkdtemp(path.join(request.data ?? tmpdir(), 'popmq-bench-'))
  const field = new Field(request, data)
  try {
    const popmq = await openPopmq(request, path.join(data, 'data'))
    field.add(popmq)
    for (const peer of chosenPeers(peers, only)) {
      checkStopped(request.signal)
      await field.open(peer)
    }
    for (const peer of chosenPeers(absentPeers, only)) field.miss(peer)
    const turns: PeerTurn[] = []
    for (let run = 0; run <= runs; run += 1) await measureRound(request, { field, run, turns })
    const settings = { sizeBytes, batch, messages, runs, consumers, processes }
    const dataFolder = request.data ?? tmpdir()
    const rows = peerRows(field, turns)
    return { workload, settings, machine: thisMachine(), dataFolder, rows }
  } finally {
    await closeAll([{ close: () => rm(data, { recursive: true, force: true }) }, field])
  }
}

/** Run 0 warms up: it is told and not counted. */
async function measureRound(
  { onRun, signal }: PeersBenchRequest,
  { field, run, turns }: { field: Field; run: number; turns: PeerTurn[] },
): Promise<void> {
  // They take turns at being first.
  const { contenders } = field
  for (const contender of run % 2 === 0 ? contenders : contenders.toReversed()) {
    try {
      const ms = await unlessStopped(signal, contender, run)
      const messagesPerSecond = Math.round(contender.messages / (ms / 1_000))
      const turn = { path: contender.name, run, seconds: Math.round(ms) / 1_000, messagesPerSecond }
      if (run > 0) turns.push(turn)
      await onRun(turn, run === 0)
    } catch (error) {
      if (signal.aborted || !field.isPeer(contender)) throw error
      await field.drop(contender, error)
    }
  }
}

/** @throws MqError `aborted` as soon as the measurement is stopped */
async function unlessStopped(
  signal: AbortSignal,
  contender: Contender,
  run: number,
): Promise<number> {
  checkStopped(signal)
  const stopped = deferred<MqError>()
  const stop = (): void => stopped.resolve(aborted())
  signal.addEventListener('abort', stop, { once: true })
  try {
    const first = await Promise.race([contender.measure(run), contender.lost, stopped.promise])
    if (first instanceof MqError) throw first
    return first
  } finally {
    signal.removeEventListener('abort', stop)
  }
}

function checkStopped(signal: AbortSignal): void {
  if (signal.aborted) throw aborted()
}

function aborted(): MqError {
  return new MqError('aborted', 'the measurement was stopped')
}
