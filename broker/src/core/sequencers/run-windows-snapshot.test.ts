import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  logPosition,
  offset,
  partitionKey,
  partitionNumber,
  producerId,
  topicId,
} from '@popmq/protocol'
import fc from 'fast-check'
import { decodeRunWindows, encodeRunWindows } from './run-windows-snapshot.ts'
import { RunWindows } from './run-windows.ts'

function someWindows(): RunWindows {
  const windows = new RunWindows()
  for (const [producer, runs] of [
    [1, 5],
    [2, 1],
    [281_474_976_710_655, 2],
  ] as const) {
    const slot = windows.add(
      producerId(producer),
      partitionKey(topicId((producer % 3) + 1), partitionNumber(1)),
    )
    windows.begin(slot, producer % 60_000)
    for (let base = 0; base < runs * 2; base += 2) {
      const [appendedAt, end] = [1_700_000_000_000 + base, logPosition(2 ** 45 + base)]
      windows.push(slot, {
        base,
        count: 2,
        crc: 0xffff_fff0 + base,
        appended: 1,
        appendedAt,
        baseOffset: offset(2 ** 40),
        end,
      })
    }
  }
  return windows
}

void test('a snapshot keeps every window as it was, in the order of their last append', () => {
  const windows = someWindows()
  const slot = windows.find(producerId(1), partitionKey(topicId(2), partitionNumber(1))) ?? -1
  windows.push(slot, { ...windows.run(slot, 4), base: 10 })
  const decoded = decodeRunWindows(encodeRunWindows(windows))
  assert.equal(decoded.size, 3)
  assert.equal(decoded.producerOf(decoded.oldest ?? -1), 2)
  const same = decoded.find(producerId(1), partitionKey(topicId(2), partitionNumber(1))) ?? -1
  assert.equal(decoded.after(same), undefined)
  assert.equal(decoded.epochOf(same), 1)
  for (let index = 0; index < 5; index += 1) {
    assert.deepEqual(decoded.run(same, index), windows.run(slot, index))
  }
})

void test('a snapshot with any byte changed is refused, or means just what it says', () => {
  const good = encodeRunWindows(someWindows())
  const change = fc.record({ at: fc.nat(good.length - 1), value: fc.nat(255), cut: fc.nat(2) })
  fc.assert(
    fc.property(change, ({ at, value, cut }) => {
      const bytes = good.slice(0, good.length - cut)
      bytes[Math.min(at, bytes.length - 1)] = value
      let decoded: RunWindows
      try {
        decoded = decodeRunWindows(bytes)
      } catch (error) {
        assert.ok(error instanceof Error)
        return
      }
      assert.deepEqual(encodeRunWindows(decoded), bytes)
    }),
    { numRuns: 2_000 },
  )
  assert.throws(() => decodeRunWindows(good.subarray(0, -1)))
})
