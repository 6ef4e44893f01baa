/** One log for all: what lives long does not keep what lives short on the disk, and is not lost with it. */
import assert from 'node:assert/strict'
import { readdirSync, statSync } from 'node:fs'
import path from 'node:path'
import type { Client } from '@popmq/client'
import { Cluster } from '../harness/cluster.ts'
import { DiskImage, whyNoImages } from '../harness/disk-image.ts'
import { allSettled } from '../harness/group-states.ts'
import { scenario } from '../harness/scenario.ts'
import { until } from '../harness/waiting.ts'

const mebibyte = 1_048_576
const flowBytes = Number(process.env['E2E_FLOW_MB'] ?? 300) * mebibyte
/** A segment is 1/32 of the disk here; a long flow is run by hand. */
const diskBytes = (flowBytes > 400 * mebibyte ? 4_096 : 512) * mebibyte
/** What a topic keeps for an hour elsewhere. Brokers look every 10 s, and clean a while. */
const retentionMs = 8_000
const keptMs = retentionMs + 10_000 + 10_000
const valueBytes = 10_000
const total = Math.floor(flowBytes / valueBytes)
const timers = 10_000
const timerBytes = 200
const yearMs = 365 * 86_400_000
const group = 'mail'

function bytesIn(folder: string): number {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true })
  const sizes = entries.map((entry) => {
    if (!entry.isFile()) return 0
    // It may be removed in between.
    return statSync(path.join(entry.parentPath, entry.name), { throwIfNoEntry: false })?.size ?? 0
  })
  return sizes.reduce((sum, size) => sum + size, 0)
}

/** What lives on while messages flow: the letters, the timers, and what the topic still keeps. */
class LiveBytes {
  readonly #longBytes: number
  readonly #sent: { readonly atMs: number; readonly bytes: number }[] = []
  #bytes = 0

  constructor(longBytes: number) {
    this.#longBytes = longBytes
  }

  sent(bytes: number): void {
    this.#bytes += bytes
    this.#sent.push({ atMs: performance.now(), bytes: this.#bytes })
  }

  get most(): number {
    const sinceMs = performance.now() - keptMs
    while ((this.#sent[0]?.atMs ?? sinceMs) < sinceMs) this.#sent.shift()
    const before = this.#sent[0]?.bytes ?? this.#bytes
    return this.#longBytes + this.#bytes / 100 + this.#bytes - before + 500 * valueBytes
  }
}

/** Sends all and has it handled: every hundredth fails until it is dead. @returns the most bytes on disk meanwhile */
async function flow(client: Client, folder: string, live: LiveBytes): Promise<number> {
  let mostBytes = 0
  await using worker = client.worker({ group, topics: ['short'], concurrency: 64 }, ({ bytes }) => {
    if (bytes[0] === 1) throw new TypeError('no such street')
  })
  await using producer = client.producer()
  for (let sent = 0; sent < total;) {
    const count = Math.min(500, total - sent)
    const values = Array.from({ length: count }, (_, index) => {
      const value = new Uint8Array(valueBytes)
      value[0] = (sent + index) % 100 === 7 ? 1 : 0
      return value
    })
    await producer.sendBatch(values.map((value) => ({ topic: 'short', value })))
    sent += count
    live.sent(count * valueBytes)
    // Nobody is to be so far behind that retention lets go of what was not handled.
    const isNear = (): boolean => sent - worker.stats().begun < 1_000
    await until(isNear, { what: 'the worker to keep up' })
    const bytes = bytesIn(folder)
    mostBytes = Math.max(mostBytes, bytes)
    assert.ok(bytes <= 2 * live.most + diskBytes / 32, `${bytes} on disk, ${live.most} alive`)
  }
  await allSettled(client, { group, sent: total })
  return mostBytes
}

scenario(
  'a log that hundreds of megabytes flow through stays below twice what lives in it, and keeps dead letters and timers',
  async (scene, t) => {
    const problem = await whyNoImages(scene.folder)
    if (problem !== undefined) return t.skip(`Not run on this machine: ${problem}`)
    const disk = scene.keep(await DiskImage.create(scene.path('disk.image'), diskBytes))
    const data = path.join(disk.folder, 'data')
    const cluster = await Cluster.start(scene, { brokerData: () => data })
    await cluster.done(
      'topic',
      'create',
      'short',
      '--partitions',
      '4',
      `retention=${retentionMs}ms`,
    )
    await cluster.done('topic', 'create', 'long', '--partitions', '1')
    await cluster.done('group', 'config', group, 'maxAttempts=2', 'backoff=100ms')
    const client = await cluster.connect()
    const producer = client.producer()
    const value = new Uint8Array(timerBytes)
    await producer.sendBatch(
      Array.from({ length: timers }, () => ({ topic: 'long', value, delayMs: yearMs })),
    )
    const mostBytes = await flow(client, data, new LiveBytes(timers * timerBytes))

    const letters = Math.ceil((total - 7) / 100)
    const delayed = await client.admin().delays().list('long', { limit: timers })
    assert.equal(delayed.total, timers)
    const liveBytes =
      letters * valueBytes + delayed.messages.reduce((sum, { bytes }) => sum + bytes, 0)
    const low = async (): Promise<number> => {
      const bounds = await client.admin().offsets('short')
      return bounds.reduce((sum, bound) => sum + bound.low, 0)
    }
    await until(async () => (await low()) === total, {
      what: 'the topic to let all go',
      withinMs: 60_000,
    })
    await until(() => bytesIn(data) <= 2 * liveBytes, {
      what: `at most ${2 * liveBytes} bytes on disk`,
      withinMs: 60_000,
      everyMs: 200,
    })
    await assertAllThere(client, letters)
    const leftBytes = bytesIn(data)
    await cluster.broker().stop('SIGKILL')
    await cluster.broker().start()
    await assertAllThere(client, letters)
    t.diagnostic(
      `${flowBytes / mebibyte} MiB flowed, at most ${mostBytes} bytes on disk, ${leftBytes} at last, ${liveBytes} alive`,
    )
  },
  { timeoutMs: 120_000 + flowBytes / 5_000 },
)

async function assertAllThere(client: Client, letters: number): Promise<void> {
  const states = await allSettled(client, { group, sent: total })
  assert.deepEqual([states.dead, states.acked], [letters, total - letters])
  const dlq = client.admin().deadLetters(group)
  let count = 0
  for await (const { id } of dlq.list()) {
    count += 1
    if (count % 50 !== 1) continue
    const { message, error } = await dlq.show(id)
    assert.equal(error, 'no such street')
    assert.equal(message.bytes.length, valueBytes)
    assert.equal(message.bytes[0], 1)
  }
  assert.equal(count, letters)
  const delays = client.admin().delays()
  const { messages } = await delays.list('long', { limit: timers })
  assert.equal(messages.length, timers)
  for (const { id } of messages.filter((_, index) => index % 1_000 === 0)) {
    assert.equal((await delays.show(id)).message.bytes.length, timerBytes)
  }
}
