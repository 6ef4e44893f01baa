import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { closeAll } from '@popmq/kit'
import { type Client, connect, MqError } from '@popmq/client'
import { type Machine, thisMachine } from '../machine.ts'
import { Participant } from '../participant.ts'
import { ServerProcess } from '../server-process.ts'
import { rounded } from '../summary.ts'
import { readCounters } from './progress-counters.ts'

export interface CommitSettings {
  /** Groups, each with one member that holds all partitions. */
  readonly groups: number
  readonly partitions: number
  /** Commits of each group, one after the other, each of all partitions. */
  readonly rounds: number
}

export interface CommitBenchRequest extends CommitSettings {
  readonly popmq: string
  /** The ZooKeeper of the coordinator. @defaultValue the embedded registry */
  readonly zookeeper?: string
  /** As of the other workloads. */
  readonly data?: string
  readonly signal: AbortSignal
}

export interface CommitBenchReport {
  readonly workload: 'commit'
  readonly settings: CommitSettings & { readonly registry: 'zookeeper' | 'embedded' }
  readonly machine: Machine
  readonly seconds: number
  readonly commitsPerSecond: number
  /** Offsets made durable: commits × partitions. */
  readonly partitionCommitsPerSecond: number
  /** Of an awaited `commit()`, in ms. */
  readonly p50Ms: number
  readonly p99Ms: number
  /** Rounds of writing at the coordinator: while one is under way, what comes gathers for the next. */
  readonly flushMs: number
  readonly registryCommitsPerSecond: number
  readonly registryNodesPerSecond: number
}

/** What the committing process answers. */
export interface Committed {
  readonly seconds: number
  /** Of each commit, in ms, sorted. */
  readonly tookMs: readonly number[]
}

const topic = 'bench-commit'

/** Has many groups commit at once. @throws MqError `aborted`, and what the processes throw */
export async function runCommitBench(request: CommitBenchRequest): Promise<CommitBenchReport> {
  const { popmq, zookeeper, signal } = request
  const data = await mkdtemp(path.join(request.data ?? tmpdir(), 'popmq-bench-'))
  const opened: { close(): Promise<void> }[] = []
  const stop = (): void => void closeAll(opened)
  signal.addEventListener('abort', stop, { once: true })
  try {
    const flags = zookeeper === undefined ? [] : ['--zookeeper', zookeeper]
    const server = await ServerProcess.start({
      popmq,
      data: path.join(data, 'data'),
      nodeFlags: [],
      flags,
    })
    opened.push(server)
    await using client = await connect(server.servers, { client: 'popmq-bench' })
    await client.admin().createTopic(topic, { partitions: request.partitions })
    await fill(client, request)
    const file = new URL('committer.js', import.meta.url)
    const committer = new Participant(file, { name: 'committer', nodeFlags: [] })
    opened.push(committer)
    const { groups, partitions, rounds } = request
    await committer.call('join', {
      servers: server.servers,
      topic,
      groups,
      partitions,
      messages: rounds,
    })
    const before = await readCounters(server.servers)
    const committed = await committer.call<Committed>('commit', { rounds })
    const after = await readCounters(server.servers)
    return reportOf(request, committed, after.since(before))
  } catch (error) {
    throw signal.aborted ? new MqError('aborted', 'the measurement was stopped') : error
  } finally {
    signal.removeEventListener('abort', stop)
    await closeAll(opened)
    await rm(data, { recursive: true, force: true })
  }
}

/** Nothing can be committed beyond the end: as many messages in each partition as there will be commits. */
async function fill(client: Client, { partitions, rounds }: CommitSettings): Promise<void> {
  await using producer = client.producer()
  for (let partition = 0; partition < partitions; partition += 1) {
    await producer.sendBatch(
      Array.from({ length: rounds }, () => ({ topic, partition, value: '' })),
    )
  }
}

function reportOf(
  { groups, partitions, rounds, zookeeper }: CommitBenchRequest,
  { seconds, tookMs }: Committed,
  flush: { readonly rounds: number; readonly seconds: number; commits: number; nodes: number },
): CommitBenchReport {
  const perSecond = (count: number): number => Math.round(count / seconds)
  const at = (share: number): number =>
    rounded(tookMs[Math.min(tookMs.length - 1, Math.floor(share * tookMs.length))] ?? 0)
  const registry = zookeeper === undefined ? 'embedded' : 'zookeeper'
  return {
    workload: 'commit',
    settings: { groups, partitions, rounds, registry },
    machine: thisMachine(),
    seconds: rounded(seconds),
    commitsPerSecond: perSecond(tookMs.length),
    partitionCommitsPerSecond: perSecond(tookMs.length * partitions),
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    flushMs: rounded((flush.seconds * 1_000) / Math.max(1, flush.rounds)),
    registryCommitsPerSecond: perSecond(flush.commits),
    registryNodesPerSecond: perSecond(flush.nodes),
  }
}
