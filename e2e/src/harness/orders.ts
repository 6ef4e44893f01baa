import assert from 'node:assert/strict'
import { Cluster, type ClusterOptions } from './cluster.ts'
import { jsonLines, type Program } from './program.ts'
import type { Scene } from './scenario.ts'
import { until } from './waiting.ts'

export interface Orders {
  readonly cluster: Cluster
  /** Sends that many more messages; their ids are numbers that go on. */
  readonly produce: (count: number) => Promise<void>
  readonly consume: (...flags: string[]) => Program
}

export const topic = 'orders'
export const group = 'readers'

/** A topic of four partitions on one broker. */
export async function orders(scene: Scene, options: ClusterOptions = {}): Promise<Orders> {
  const cluster = await Cluster.start(scene, options)
  await cluster.done('topic', 'create', topic, '--partitions', '4')
  const producer = (await cluster.connect()).producer()
  let sent = 0
  const produce = async (count: number): Promise<void> => {
    const ids = Array.from({ length: count }, (_, index) => `${sent + index}`)
    await producer.sendBatch(ids.map((id) => ({ topic, key: id, value: { id } })))
    sent += count
  }
  const consume = (...flags: string[]): Program =>
    cluster.startPopmq('consume', topic, '--group', group, ...flags)
  return { cluster, produce, consume }
}

export function prints(program: Program, count: number): Promise<void> {
  return until(() => program.lineCount >= count, { what: `${count} lines of ${program.name}` })
}

/** The numbers of the messages that a process printed, sorted. */
export function idsOf(stdout: string): number[] {
  const ids = jsonLines(stdout).map(({ value }) => Number((value as { readonly id: string }).id))
  return ids.toSorted((a, b) => a - b)
}

export function numbers(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, index) => from + index)
}

/** Ends it as a user does. @returns what it printed */
export async function stopped(program: Program): Promise<string> {
  const { code, stdout, stderr } = await program.stop('SIGTERM')
  assert.equal(code, 0, stderr)
  return stdout
}

export async function assertNoLag(cluster: Cluster): Promise<void> {
  const { lines } = await cluster.done('group', 'lag', group)
  assert.equal(lines.length, 4)
  for (const { messages } of lines) assert.equal(messages, 0, JSON.stringify(lines))
}
