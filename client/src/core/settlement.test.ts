import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { MqError, type SettleResult } from '@popmq/protocol'
import { parseHandle } from './handle.ts'
import { named } from './leased-message.ts'
import { type LeaseHandles, maySettleLater, Settlement } from './settlement.ts'

const handle = fc
  .tuple(fc.integer({ min: 1, max: 3 }), fc.nat(2), fc.nat(4), fc.constantFrom('AAAA', 'BBBB', '!'))
  .map((parts) => parts.join('.'))

void test('every handle gets the answer to its own lease and number, in the order given', () => {
  fc.assert(
    fc.property(fc.array(handle, { maxLength: 40 }), fc.nat(3), (handles, known) => {
      // What some of them say is known beforehand, as of messages of this process.
      const settlement = new Settlement(
        'extend',
        handles.map((text, at) =>
          at % 4 < known ? { ...named(text), parts: parseHandle(text) } : named(text),
        ),
      )
      const answer = ({ topicId, partition }: LeaseHandles, number: number): SettleResult =>
        (topicId + partition + number) % 2 === 0 ? 'extended' : 'expired'
      const sent = settlement.leases.flatMap(({ numbers }) => numbers)
      assert.equal(sent.length, new Set(handles.filter((each) => !each.endsWith('!'))).size)
      for (const lease of settlement.leases) {
        const results = [lease.numbers.map((number) => answer(lease, number))]
        settlement.answered([lease], { results, until: 5, isInTime: true })
      }
      const expected = handles.map((text) => {
        const [topic = 0, partition = 0, number = 0] = text.split('.').map(Number)
        const isEven = (topic + partition + number) % 2 === 0
        if (text.endsWith('!')) return { handle: text, result: 'unknown' }
        if (!isEven) return { handle: text, result: 'expired' }
        return { handle: text, result: 'extended', leasedUntil: 5 }
      })
      assert.deepEqual(settlement.results, expected)
    }),
    { numRuns: 300 },
  )
})

void test('a handle that is written in two ways is sent once, and answered as each was written', () => {
  const texts = ['1.0.5.AAAA', '1.0.05.AAAA']
  const settlement = new Settlement('ack', texts.map(named))
  assert.deepEqual(
    settlement.leases.map(({ numbers }) => numbers),
    [[5]],
  )
  settlement.answered(settlement.leases, { results: [['acked']], isInTime: true })
  const expected = texts.map((handle) => ({ handle, result: 'acked' }))
  assert.deepEqual(settlement.results, expected)
})

void test('already means acked only to the ack that may have been done by its own lost try', () => {
  const lost = new MqError('connection_lost', 'cut')
  const refused = new MqError('broker_busy', 'too much')
  const told = (
    verb: 'ack' | 'nack',
    error: MqError,
    { result, isInTime = true }: { result: SettleResult; isInTime?: boolean },
  ) => {
    const settlement = new Settlement(verb, [named('1.0.0.AAAA')])
    settlement.tried(settlement.leases, error)
    settlement.answered(settlement.leases, { results: [[result]], isInTime })
    return settlement.results[0]?.result
  }
  assert.equal(told('ack', lost, { result: 'already' }), 'acked')
  assert.equal(told('ack', refused, { result: 'already' }), 'already')
  assert.equal(told('nack', lost, { result: 'already' }), 'already')
  assert.equal(told('ack', lost, { result: 'expired' }), 'expired')
  assert.equal(told('ack', lost, { result: 'already', isInTime: false }), 'already')
})

void test('what the call itself must change is not tried again', () => {
  assert.equal(maySettleLater(new MqError('invalid_request', 'x')), false)
  assert.equal(maySettleLater(new MqError('closed', 'x')), false)
  assert.equal(maySettleLater(new MqError('timed_out', 'x')), true)
  assert.equal(maySettleLater(new MqError('disk_full', 'x')), true)
})
