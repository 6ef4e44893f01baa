import assert from 'node:assert/strict'
import { test } from 'node:test'
import { logPosition, type RecordView, topicId } from '@popmq/protocol'
import fc from 'fast-check'
import { LiveBytes } from '../consume-queue/live-bytes.ts'
import type { Delay } from './delay-rows.ts'
import { Delays } from './delays.ts'
import { DelayedLog } from './testing/delayed-log.ts'

const options = { leastDead: 3, mostDelivered: 5 }
const segmentBytes = 1_000

/** What Delays must answer, in the plainest words. */
class PlainDelays {
  readonly pending = new Map<number, Delay>()
  delivered: number[] = []

  sorted(): Delay[] {
    return [...this.pending.values()].toSorted((a, b) => a.dueAt - b.dueAt || a.number - b.number)
  }

  copy(): PlainDelays {
    const copy = new PlainDelays()
    for (const [number, delay] of this.pending) copy.pending.set(number, delay)
    copy.delivered = [...this.delivered]
    return copy
  }
}

/** The view and its model, fed with the same records; live bytes are counted in segments of fixed size. */
class Pair {
  readonly live = new LiveBytes()
  readonly plain: PlainDelays
  delays = new Delays({ live: this.live, ...options })

  constructor(plain = new PlainDelays(), snapshot?: Uint8Array) {
    this.plain = plain
    for (let segment = 0; segment < 400; segment += 1)
      this.live.open(logPosition(segment * segmentBytes))
    for (const [segment, bytes] of this.heldBytes()) this.live.add(segment, bytes)
    if (snapshot !== undefined) this.delays.restore(snapshot)
  }

  heldBytes(): Map<number, number> {
    const held = new Map<number, number>()
    for (const { position, bytes } of this.plain.pending.values()) {
      const segment = Math.floor(position / segmentBytes)
      held.set(segment, (held.get(segment) ?? 0) + bytes)
    }
    return held
  }

  check(nowMs: number): void {
    const { delays, plain, live } = this
    const sorted = plain.sorted()
    assert.equal(delays.size, sorted.length)
    assert.equal(delays.nextDueAt(), sorted[0]?.dueAt)
    const isWithheld = (number: number): boolean => number % 3 === 0
    const due = sorted.filter((delay) => delay.dueAt <= nowMs && !isWithheld(delay.number))
    assert.deepEqual(delays.due({ nowMs, most: 7, isWithheld }), due.slice(0, 7))
    for (const topic of [1, 2]) {
      const of = [...plain.pending.values()].filter((delay) => delay.topicId === topic)
      const after = of[2]?.number ?? 0
      const page = delays.list({ topicId: topicId(topic), after, limit: 4 })
      assert.deepEqual(page, of.filter(({ number }) => number > after).slice(0, 4))
      assert.equal(delays.count(topicId(topic)), of.length)
    }
    const held = this.heldBytes()
    for (const { base, bytes } of live.all())
      assert.equal(bytes, held.get(base / segmentBytes) ?? 0, `live bytes at ${base}`)
  }
}

const pick = fc.nat(1_000)
const command = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('add' as const),
      count: fc.integer({ min: 1, max: 30 }),
      topic: fc.constantFrom(1, 2),
      dueIn: fc.nat(50),
      isTime: fc.boolean(),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('fire' as const),
      picks: fc.array(pick, { maxLength: 25 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('change' as const),
      picks: fc.array(fc.tuple(pick, fc.option(fc.nat(100), { nil: undefined })), {
        maxLength: 12,
      }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('clean' as const),
      picks: fc.array(pick, { maxLength: 5 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('gone' as const), topic: fc.constantFrom(1, 2) }),
  },
  { weight: 1, arbitrary: fc.constant({ do: 'snapshot' as const }) },
  { weight: 1, arbitrary: fc.constant({ do: 'restart' as const }) },
)

void test('pending messages are those of a plain map, across any snapshot, restart and cleaning', () => {
  fc.assert(
    fc.property(fc.array(command, { maxLength: 40, size: 'max' }), (commands) => {
      let pair = new Pair()
      const log = new DelayedLog({ apply: (record) => pair.delays.apply(record) })
      const all: RecordView[] = []
      let snapshot = { bytes: pair.delays.encode(), plain: pair.plain.copy(), at: 0 }
      let nowMs = 0
      for (const step of commands) {
        nowMs += 5
        if (step.do === 'snapshot')
          snapshot = {
            bytes: pair.delays.encode(),
            plain: pair.plain.copy(),
            at: log.records.length,
          }
        else if (step.do === 'restart') {
          // The log is the truth: a snapshot and what follows it give the same as having been there.
          const later = new Pair(snapshot.plain.copy(), snapshot.bytes)
          for (const record of log.records.slice(snapshot.at)) later.delays.apply(record)
          assert.deepEqual(later.delays.encode(), pair.delays.encode())
          later.plain.pending.clear()
          for (const [number, delay] of pair.plain.pending) later.plain.pending.set(number, delay)
          later.plain.delivered = pair.plain.delivered
          pair = later
        } else carryOut(step, { pair, log, all, nowMs })
        pair.check(nowMs)
        for (const number of pair.plain.delivered.slice(-5))
          assert.ok(pair.delays.wasDelivered(number))
      }
    }),
    { numRuns: 150 },
  )
})

interface World {
  readonly pair: Pair
  readonly log: DelayedLog
  readonly all: RecordView[]
  readonly nowMs: number
}

type Step = typeof command extends fc.Arbitrary<infer T> ? T : never

function carryOut(step: Step, { pair, log, all, nowMs }: World): void {
  const { pending } = pair.plain
  const at = (picked: number): RecordView | undefined => all[picked % Math.max(1, all.length)]
  if (step.do === 'add') {
    for (let index = 0; index < step.count; index += 1) {
      const dueAt = nowMs + ((step.dueIn * (index + 7)) % 53)
      const when = step.isTime ? { deliverAt: dueAt } : { delayMs: dueAt - nowMs }
      const record = log.delayed({
        ...when,
        topic: step.topic,
        partition: index,
        appendedAt: nowMs,
      })
      all.push(record)
      const { offset: number, topicId: topic, partition, position, length: bytes } = record
      pending.set(number, { number, topicId: topic, partition, position, bytes, dueAt })
    }
  } else if (step.do === 'fire') {
    for (const picked of step.picks) {
      const record = at(picked)
      if (record === undefined) continue
      log.fired(record)
      if (pending.delete(record.offset)) pair.plain.delivered.push(record.offset)
    }
  } else if (step.do === 'change') {
    const changes = step.picks.flatMap(([picked, dueAt]) => {
      const number = at(picked)?.offset
      return number === undefined ? [] : [{ number, dueAt }]
    })
    log.changed(changes)
    for (const { number, dueAt } of changes) {
      const delay = pending.get(number)
      if (dueAt === undefined) pending.delete(number)
      else if (delay !== undefined) pending.set(number, { ...delay, dueAt })
    }
  } else if (step.do === 'clean') {
    for (const picked of step.picks) {
      const record = at(picked)
      if (record === undefined) continue
      const before = pending.get(record.offset)
      const { position } = log.moved(record)
      assert.equal(pair.delays.pointsAt(record.offset, position), before !== undefined)
      if (before !== undefined) pending.set(record.offset, { ...before, position })
    }
  } else if (step.do === 'gone') {
    log.gone(step.topic)
    for (const [number, delay] of pending) if (delay.topicId === step.topic) pending.delete(number)
  }
}
