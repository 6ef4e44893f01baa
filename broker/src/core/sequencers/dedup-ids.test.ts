import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AssertionError } from '@popmq/kit'
import {
  firstHeldNumber,
  isMqError,
  logPosition,
  offset,
  partitionNumber,
  RecordView,
  topicId,
} from '@popmq/protocol'
import fc from 'fast-check'
import { DedupIds, dedupIdOf, type FirstReceipt } from './dedup-ids.ts'
import { recordBytes, WrittenLog } from './testing/written-log.ts'

const topic = topicId(1)
const windowMsOf = (id: number): number => (id === 3 ? 0 : id * 100)
const idOf = (text: string): Uint8Array => new TextEncoder().encode(text)
const receiptAt = (at: number, appendedAt: number): FirstReceipt & { windowMs: number } => ({
  partition: partitionNumber(0),
  offset: offset(at),
  appendedAt,
  end: logPosition(at * 100 + 100),
  windowMs: 100,
})

void test('an id is found with its first receipt until its window is over, to the ms', () => {
  const ids = new DedupIds({ windowMsOf })
  ids.remember(topic, idOf('a'), receiptAt(7, 1_000))
  assert.equal(ids.find(topic, idOf('a'), 1_099)?.offset, 7)
  assert.equal(ids.find(topic, idOf('a'), 1_100), undefined)
  assert.equal(ids.find(topic, idOf('b'), 1_000), undefined)
  assert.equal(ids.find(topicId(2), idOf('a'), 1_000), undefined)
})

void test('ids whose bytes are no text are told apart', () => {
  const ids = new DedupIds({ windowMsOf })
  ids.remember(topic, new Uint8Array([0xff]), receiptAt(1, 0))
  ids.remember(topic, new Uint8Array([0xfe]), receiptAt(2, 0))
  const restored = new DedupIds({ windowMsOf })
  restored.restore(ids.encode())
  assert.equal(restored.find(topic, new Uint8Array([0xff]), 0)?.offset, 1)
  assert.equal(restored.find(topic, new Uint8Array([0xfe]), 0)?.offset, 2)
})

void test('a full memory says so and forgets nothing that was promised', () => {
  const byCount = new DedupIds({ windowMsOf, most: 2 })
  byCount.remember(topic, idOf('a'), receiptAt(1, 0))
  assert.equal(byCount.isFull, false)
  byCount.remember(topic, idOf('b'), receiptAt(2, 50))
  assert.equal(byCount.isFull, true)
  byCount.remember(topic, idOf('c'), receiptAt(3, 60))
  for (const id of ['a', 'b', 'c']) assert.notEqual(byCount.find(topic, idOf(id), 99), undefined)
  byCount.expire(150)
  assert.equal(byCount.size, 1)
  assert.equal(byCount.isFull, false)
  const byBytes = new DedupIds({ windowMsOf, mostBytes: 328 })
  byBytes.remember(topic, idOf('x'.repeat(127)), receiptAt(1, 0))
  assert.equal(byBytes.isFull, false)
  byBytes.remember(topic, idOf('x'.repeat(127)), receiptAt(1, 0))
  assert.equal(byBytes.isFull, false)
  byBytes.remember(topic, idOf('y'), receiptAt(1, 0))
  assert.equal(byBytes.isFull, true)
})

void test('records of the log are remembered beyond the bound, expired ones making room first', () => {
  const log = new WrittenLog()
  for (const [index, appendedAt] of [0, 10, 105].entries()) {
    log.append({ topic: 1, partition: 0, offset: offset(index), appendedAt, dedupId: `id${index}` })
  }
  const ids = new DedupIds({ windowMsOf, most: 1 })
  log.replay(ids)
  assert.equal(ids.find(topic, idOf('id0'), 105), undefined)
  assert.equal(ids.find(topic, idOf('id1'), 105)?.offset, 1)
  assert.equal(ids.find(topic, idOf('id2'), 105)?.offset, 2)
  assert.equal(ids.size, 2)
})

void test('expiry leaves an id alone that was remembered again after its first window', () => {
  const ids = new DedupIds({ windowMsOf })
  ids.remember(topic, idOf('a'), receiptAt(1, 0))
  ids.remember(topic, idOf('a'), receiptAt(2, 100))
  ids.expire(150)
  assert.equal(ids.find(topic, idOf('a'), 150)?.offset, 2)
  assert.equal(ids.size, 1)
})

void test('the dedup id of a record is read past its other sections, and only when they add up', () => {
  const bytes = recordBytes({ topic: 1, partition: 0, key: 'key', dedupId: 'id', value: 'body' })
  const record = new RecordView(bytes)
  assert.deepEqual(dedupIdOf(record), idOf('id'))
  assert.equal(
    dedupIdOf(new RecordView(recordBytes({ topic: 1, partition: 0, key: 'key' }))),
    undefined,
  )
  for (let at = 96; at < bytes.length - 4; at += 1) {
    const bad = bytes.slice()
    bad[at] = 0xff
    const id = dedupIdOf(new RecordView(bad))
    assert.ok(id === undefined || id.length <= 2)
  }
})

const someTopic = fc.integer({ min: 1, max: 3 })
const command = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('send'),
      topic: someTopic,
      id: fc.constantFrom('', 'a', 'b', 'é'),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant('pass'), ms: fc.integer({ min: 1, max: 150 }) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('move'), index: fc.nat(10) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('delete'), topic: someTopic }) },
  { weight: 1, arbitrary: fc.constantFrom({ do: 'snapshot' } as const, { do: 'expire' } as const) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('recover'), cut: fc.nat(4) }) },
)

void test('ids are answered from the log alone, through snapshots, restarts and truncations', () => {
  fc.assert(
    fc.property(fc.array(command, { maxLength: 80, size: 'max' }), (commands) => {
      const log = new WrittenLog()
      let live = new DedupIds({ windowMsOf })
      let snapshot = { bytes: live.encode(), size: 0 }
      let nowMs = 1_000
      // The plain model: every record that the log holds; a deletion empties the topic's part.
      let sent: {
        size: number
        topic: number
        id: string
        offset: number
        appendedAt: number
        gone?: true
      }[] = []
      const expected = (topicNumber: number, id: string): number | undefined => {
        const last = sent.findLast(
          (one) => one.topic === topicNumber && (one.gone === true || one.id === id),
        )
        if (last === undefined || last.gone === true) return undefined
        return last.appendedAt + windowMsOf(topicNumber) > nowMs ? last.offset : undefined
      }
      for (const next of commands) {
        if ('id' in next) {
          const { topic: number, id } = next
          if (live.find(topicId(number), idOf(id), nowMs) !== undefined) continue
          const at = offset(log.size)
          const record = log.append({
            topic: number,
            partition: 0,
            offset: at,
            appendedAt: nowMs,
            dedupId: id,
            key: 'k',
          })
          const receipt = {
            partition: record.partition,
            offset: at,
            appendedAt: nowMs,
            end: log.end,
          }
          live.remember(topicId(number), idOf(id), { ...receipt, windowMs: windowMsOf(number) })
          sent.push({ size: log.size, topic: number, id, offset: at, appendedAt: nowMs })
        } else if ('ms' in next) nowMs += next.ms
        else if ('index' in next) {
          const record = log.at(next.index)
          if (record !== undefined && record.kind === 1) log.move(record)
        } else if ('topic' in next) {
          live.forgetTopic(topicId(next.topic))
          log.append({
            kind: 'topic_gone',
            topic: next.topic,
            partition: 0,
            offset: offset(0),
            appendedAt: nowMs,
          })
          sent.push({
            size: log.size,
            topic: next.topic,
            id: '',
            offset: 0,
            appendedAt: nowMs,
            gone: true,
          })
        } else if ('cut' in next) {
          log.cut(Math.max(snapshot.size, log.size - next.cut))
          sent = sent.filter((one) => one.size <= log.size)
          live = new DedupIds({ windowMsOf })
          live.remember(topicId(9), idOf('not in the snapshot'), receiptAt(1, nowMs))
          live.restore(snapshot.bytes)
          log.replay(live, snapshot.size)
        } else if (next.do === 'expire') live.expire(nowMs)
        else snapshot = { bytes: live.encode(), size: log.size }
        for (const number of [1, 2, 3, 9]) {
          for (const id of ['', 'a', 'b', 'é']) {
            const found = live.find(topicId(number), idOf(id), nowMs)
            assert.equal(found?.offset, expected(number, id))
            if (found === undefined) continue
            const record = log.at(found.offset)
            assert.equal(found.end, (record?.position ?? 0) + (record?.length ?? 0))
          }
        }
        const again = new DedupIds({ windowMsOf })
        again.restore(live.encode())
        assert.deepEqual(again.encode(), live.encode())
        assert.equal(again.size, live.size)
      }
      live.expire(nowMs + 1_000)
      assert.equal(live.size, 0)
      assert.deepEqual(live.encode(), new DedupIds({ windowMsOf }).encode())
    }),
  )
})

void test('a malformed snapshot is refused and changes nothing', () => {
  const ids = new DedupIds({ windowMsOf })
  ids.remember(topic, idOf('a'), receiptAt(1, 5))
  ids.remember(topic, idOf('b'), receiptAt(2, 6))
  const good = ids.encode()
  const newer = good.slice()
  newer[0] = 9
  assert.throws(
    () => ids.restore(newer),
    (error: unknown) => isMqError(error, 'newer_format'),
  )
  const twice = good.slice()
  twice.copyWithin(5 + 38, 5, 5 + 38)
  const endless = good.slice().fill(0xff, 1, 5)
  for (const bad of [
    good.subarray(0, -1),
    new Uint8Array(0),
    new Uint8Array([...good, 0]),
    twice,
    endless,
  ]) {
    assert.throws(() => ids.restore(bad), AssertionError)
  }
  assert.deepEqual(ids.encode(), good)
})

void test('of a message that was delayed the first record counts, and no copy that the broker makes later', () => {
  const log = new WrittenLog()
  const ids = new DedupIds({ windowMsOf: () => 1_000 })
  const place = { topic: 1, partition: 3, dedupId: 'd' }
  const held = offset(firstHeldNumber + 5)
  log.append({ ...place, kind: 'delayed', delayMs: 700, offset: held, appendedAt: 100 })
  const source = new Uint8Array(56)
  log.append({ ...place, source, offset: offset(0), appendedAt: 800 })
  log.append({ ...place, kind: 'retry', source, offset: held, appendedAt: 900 })
  log.append({ ...place, kind: 'dead', source, offset: offset(1), appendedAt: 900 })
  log.replay(ids)
  const id = new TextEncoder().encode('d')
  assert.equal(ids.find(topicId(1), id, 1_099)?.offset, held)
  assert.equal(ids.find(topicId(1), id, 1_100), undefined)
})
