import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  marks,
  type Offset,
  offset,
  partitionKey,
  partitionNumber,
  producerId,
  RecordView,
  topicId,
} from '@popmq/protocol'
import fc from 'fast-check'
import { ProducerRuns } from './producer-runs.ts'
import { foldRunCrc, type PlacedRun, type Run } from './run.ts'
import { PlainRuns } from './testing/plain-runs.ts'
import { recordBytes, WrittenLog, type WrittenRecord } from './testing/written-log.ts'

type Sent = Omit<WrittenRecord, 'offset' | 'appendedAt' | 'marks'>

/** A run as its producer sends it: its records, and what the broker reckons of them. */
interface SentRun {
  readonly run: Run
  readonly records: readonly Sent[]
}

function sendRun(head: {
  producer: number
  producerEpoch: number
  topic: number
  partition: number
  base: number
  values: readonly string[]
}): SentRun {
  const { values, ...rest } = head
  const records = values.map((value) => ({ ...rest, count: values.length, value }))
  const crcs = records.map((record) => new RecordView(recordBytes(record)).crc)
  const run = {
    producerId: producerId(head.producer),
    producerEpoch: head.producerEpoch,
    key: partitionKey(topicId(head.topic), partitionNumber(head.partition)),
    base: head.base,
    count: values.length,
    crc: crcs.reduce(foldRunCrc, 0),
  }
  return { run, records }
}

/** The broker's side, as small as it can be: judge, append what dedup ids leave, record; snapshots and restarts. */
class SmallBroker {
  readonly log = new WrittenLog()
  readonly most: number
  runs: ProducerRuns
  model: PlainRuns
  nowMs = 1_000_000
  /** Appended runs and deleted topics with the size of the log behind them, for the model to replay. */
  events: ({ size: number; run: Run; placed: PlacedRun } | { size: number; topic: number })[] = []
  snapshot: { bytes: Uint8Array; size: number; model: PlainRuns }
  /** Whether some run dropped whole, or whose drops are unknown, makes a rebuilt state differ from the live one. */
  hasDrops = false
  #nextOffset = 0

  constructor(most: number) {
    this.most = most
    this.runs = new ProducerRuns({ most })
    this.model = new PlainRuns(most)
    this.snapshot = { bytes: this.runs.encode(), size: 0, model: this.model.copy() }
  }

  send({ run, records }: SentRun, dropMask: number): void {
    const verdict = this.runs.judge(run)
    assert.deepEqual(verdict, this.model.judge(run))
    if (verdict.kind !== 'append') return
    const isDropped = (index: number): boolean =>
      run.producerId !== 0 && ((dropMask >> index) & 1) === 1
    const kept = records.filter((_, index) => !isDropped(index))
    const baseOffset = offset(this.#nextOffset)
    for (const [index, record] of kept.entries()) {
      const last = index === kept.length - 1 ? marks.lastOfRun : 0
      this.log.append({ ...record, offset: this.#take(), appendedAt: this.nowMs, marks: last })
    }
    const deduplicated = records.flatMap((_, index) =>
      isDropped(index)
        ? [{ index, partition: partitionNumber(0), offset: offset(index), appendedAt: 5 }]
        : [],
    )
    const placed = { baseOffset, end: this.log.end, appendedAt: this.nowMs, deduplicated }
    if (deduplicated.length > 0) this.hasDrops = true
    this.runs.record(run, placed)
    this.model.record(run, placed)
    if (kept.length > 0) this.events.push({ size: this.log.size, run, placed })
  }

  deleteTopic(topic: number): void {
    this.log.append({
      kind: 'topic_gone',
      topic,
      partition: 0,
      offset: offset(0),
      appendedAt: this.nowMs,
    })
    this.runs.forgetTopic(topicId(topic))
    this.model.forgetTopic(topicId(topic))
    this.events.push({ size: this.log.size, topic })
  }

  expire(): void {
    this.runs.expire(this.nowMs)
    this.model.expire(this.nowMs)
  }

  takeSnapshot(): void {
    this.snapshot = { bytes: this.runs.encode(), size: this.log.size, model: this.model.copy() }
  }

  /** Loses `cut` events from the end of the log, then starts anew from the snapshot and the log. */
  restart(cut: number): void {
    const replayed = this.events.filter(({ size }) => size > this.snapshot.size)
    const kept = replayed.slice(0, Math.max(0, replayed.length - cut))
    const live = this.runs
    if (kept.length < replayed.length) this.log.cut(kept.at(-1)?.size ?? this.snapshot.size)
    this.events = this.events.filter(({ size }) => size <= this.log.size)
    this.runs = new ProducerRuns({ most: this.most })
    this.runs.restore(this.snapshot.bytes)
    this.log.replay(this.runs, this.snapshot.size)
    this.model = this.snapshot.model.copy()
    for (const event of kept) {
      if ('topic' in event) this.model.forgetTopic(topicId(event.topic))
      else this.model.record(event.run, event.placed, true)
    }
    this.expire()
    live.expire(this.nowMs)
    const isWhole = kept.length === replayed.length && !this.hasDrops
    if (isWhole) assert.deepEqual(this.runs.encode(), live.encode())
  }

  moveRecord(index: number): void {
    const record = this.log.at(index)
    if (record !== undefined && record.kind === 1) this.log.move(record)
  }

  #take(): Offset {
    this.#nextOffset += 1
    return offset(this.#nextOffset - 1)
  }
}

const pair = {
  producer: fc.constantFrom(1, 1, 1, 1, 1, 1, 2, 0),
  topic: fc.constantFrom(1, 1, 1, 1, 1, 1, 1, 2),
  partition: fc.constantFrom(0, 0, 0, 0, 0, 0, 0, 1),
}
const values = fc.array(fc.constantFrom('', 'a', 'b'), { minLength: 1, maxLength: 3 })
const command = fc.oneof(
  // `step` is taken from the producer's own count of sequences: 0 is the honest next run.
  {
    weight: 12,
    arbitrary: fc.record({
      do: fc.constant('next'),
      ...pair,
      values,
      step: fc.constantFrom(0, 0, 0, 0, 0, 0, 1, -1),
      drops: fc.constantFrom(0, 0, 0, 0, 1, 2, 7),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('again'),
      back: fc.nat(8),
      change: fc.constantFrom('none', 'none', 'value', 'count'),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('epoch'),
      producer: pair.producer,
      by: fc.constantFrom(1, 1, -1),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('pass'),
      minutes: fc.constantFrom(1, 1, 15, 15, 15, 59, 60),
    }),
  },
  { weight: 2, arbitrary: fc.constantFrom({ do: 'expire' } as const, { do: 'snapshot' } as const) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('restart'), cut: fc.nat(3) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('move'), index: fc.nat(20) }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('delete'), topic: fc.constantFrom(2, 2, 2, 1) }),
  },
)

void test('whatever is sent, expires, restarts or is cut off, verdicts are those of the plain model', () => {
  const seen = new Map<string, number>()
  const count = (kind: string): void => void seen.set(kind, (seen.get(kind) ?? 0) + 1)
  fc.assert(
    fc.property(
      fc.constantFrom(2, 100),
      fc.array(command, { maxLength: 100, size: 'max' }),
      (most, commands) => {
        const broker = new SmallBroker(most)
        const sent: { readonly head: Parameters<typeof sendRun>[0]; readonly drops: number }[] = []
        const epochs = [0, 0, 0]
        const nextBase = new Map<string, number>()
        const send = (head: Parameters<typeof sendRun>[0], drops: number): void => {
          const made = sendRun(head)
          count(broker.runs.judge(made.run).kind)
          broker.send(made, drops)
        }
        for (const next of commands) {
          if ('step' in next) {
            const { producer, topic, partition } = next
            const producerEpoch = epochs[producer] ?? 0
            const name = `${producer} ${topic} ${partition} ${producerEpoch}`
            const base = Math.max(0, (nextBase.get(name) ?? 0) + next.step)
            const head = { producer, producerEpoch, topic, partition, base, values: next.values }
            const { kind } = broker.runs.judge(sendRun(head).run)
            send(head, next.drops)
            sent.push({ head, drops: next.drops })
            if (kind === 'append') nextBase.set(name, base + next.values.length)
            if (kind === 'unknown') epochs[producer] = producerEpoch + 1
          } else if ('back' in next) {
            const known = sent.at(-1 - next.back)
            if (known === undefined) continue
            const changes = {
              none: known.head.values,
              value: known.head.values.map((value) => `${value}!`),
              count: [...known.head.values, ''],
            }
            send(
              { ...known.head, values: changes[next.change as keyof typeof changes] },
              known.drops,
            )
          } else if ('by' in next) {
            epochs[next.producer] = Math.max(0, (epochs[next.producer] ?? 0) + next.by)
          } else if ('minutes' in next) broker.nowMs += next.minutes * 60_000
          else if ('cut' in next) broker.restart(next.cut)
          else if ('index' in next) broker.moveRecord(next.index)
          else if ('topic' in next) broker.deleteTopic(next.topic)
          else if (next.do === 'expire') broker.expire()
          else broker.takeSnapshot()
          assert.ok(broker.runs.size <= most)
        }
        for (const { head } of sent) {
          const { run } = sendRun(head)
          assert.deepEqual(broker.runs.judge(run), broker.model.judge(run))
        }
      },
    ),
    { numRuns: 300 },
  )
  // Worth something only when every verdict was met.
  assert.deepEqual([...seen.keys()].toSorted(), [
    'append',
    'duplicate',
    'fenced',
    'gap',
    'reused',
    'tooOld',
    'unknown',
  ])
})
