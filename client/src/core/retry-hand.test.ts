import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { LeasedMessage } from './leased-message.ts'
import { RetryHand } from './retry-hand.ts'

const options = { leaseMs: 100, mostMessages: 5 }

/** The plainest model: what is known of each message by its number. */
interface Known {
  state: 'waiting' | 'in_hand' | 'settling'
  /** When its lease is over. */
  endsAt: number
}

const steps = fc.oneof(
  fc.record({ kind: fc.constant('pop' as const), count: fc.integer({ min: 0, max: 3 }) }),
  fc.record({ kind: fc.constant('take' as const), most: fc.integer({ min: 1, max: 3 }) }),
  fc.record({ kind: fc.constant('settle' as const), pick: fc.nat(9) }),
  fc.record({ kind: fc.constant('gone' as const) }),
  fc.record({ kind: fc.constant('lost' as const), pick: fc.nat(9) }),
  fc.record({ kind: fc.constant('give_back' as const) }),
  fc.record({ kind: fc.constant('drop' as const) }),
)

void test('each message is delivered once, decided about once, and its lease never ends while it is here', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(steps, fc.nat(40)), { maxLength: 60 }), (sequence) => {
      const hand = new RetryHand(options)
      const model = new Map<LeasedMessage, Known>()
      let now = 0
      const of = (state: Known['state']): LeasedMessage[] =>
        [...model].filter(([, known]) => known.state === state).map(([message]) => message)
      const pick = (at: number): LeasedMessage[] => [...model.keys()].slice(at, at + 2)
      for (const [step, passes] of sequence) {
        // Time passes, and leases are extended when the hand says so.
        for (const endsAt = now + passes; ;) {
          const wakesAt = hand.extendsAt
          if (wakesAt > endsAt) {
            now = endsAt
            break
          }
          now = Math.max(now, wakesAt)
          const due = hand.due(now)
          assert.ok(due.length > 0)
          for (const message of due) {
            const known = model.get(message)
            assert.ok(known !== undefined && known.state !== 'settling' && known.endsAt > now)
            known.endsAt = now + options.leaseMs
            hand.extended(message, 'extended')
          }
        }
        switch (step.kind) {
          case 'pop': {
            const popped = Array.from(
              { length: Math.min(step.count, hand.room) },
              () => ({}) as LeasedMessage,
            )
            hand.popped(popped, now)
            const endsAt = now + options.leaseMs
            for (const each of popped) model.set(each, { state: 'waiting', endsAt })
            break
          }
          case 'take': {
            const taken = hand.take(step.most)
            assert.deepEqual(taken, of('waiting').slice(0, step.most))
            for (const each of taken) (model.get(each) as Known).state = 'in_hand'
            break
          }
          case 'settle': {
            const named = pick(step.pick)
            const settling = hand.settle(named)
            assert.deepEqual(
              settling,
              named.filter((each) => model.get(each)?.state === 'in_hand'),
            )
            for (const each of settling) (model.get(each) as Known).state = 'settling'
            break
          }
          case 'gone': {
            const settled = of('settling')
            hand.gone(settled)
            for (const each of settled) model.delete(each)
            break
          }
          case 'lost':
            for (const each of pick(step.pick)) {
              hand.extended(each, 'expired')
              model.delete(each)
            }
            break
          case 'give_back':
            assert.deepEqual(hand.giveBack(), of('waiting'))
            for (const each of of('waiting')) model.delete(each)
            break
          case 'drop':
            hand.drop()
            model.clear()
            break
          default:
            step satisfies never
        }
        assert.equal(hand.hasWaiting, of('waiting').length > 0)
        assert.equal(hand.hasInHand, of('in_hand').length > 0)
        assert.equal(hand.room, options.mostMessages - model.size)
        for (const { state, endsAt } of model.values())
          assert.ok(state === 'settling' || endsAt > now)
      }
    }),
    { numRuns: 200 },
  )
})

void test('a failed extension is tried again half a lease later', () => {
  const hand = new RetryHand(options)
  const message = {} as LeasedMessage
  hand.popped([message], 0)
  assert.equal(hand.extendsAt, 50)
  assert.deepEqual(hand.due(49), [])
  assert.deepEqual(hand.due(50), [message])
  hand.extended(message, 'failed')
  assert.equal(hand.extendsAt, 100)
  assert.deepEqual(hand.take(1), [message])
})
