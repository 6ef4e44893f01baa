import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crc32 } from '@popmq/kit/checksum'
import fc from 'fast-check'
import { Backoff } from '@popmq/kit'
import { SeededRandom } from '@popmq/kit/testing'
import {
  type ErrorName,
  MqError,
  partitionNumber,
  prepareMessage,
  producerId,
} from '@popmq/protocol'
import { topicId } from '@popmq/protocol'
import { RunSequenceModel, type Step } from '../testing/run-sequence-model.ts'
import { Run } from './run.ts'
import { lastProducerEpoch, RunSequence } from './run-sequence.ts'

/** A sequence by hand: runs are named by their first message, settled ones are listed in order. */
function byHand(): {
  sequence: RunSequence
  settled: string[]
  add: (name: string, count?: number) => Run
  take: () => string | undefined
  ack: (name: string) => void
  fail: (name: string, error: ErrorName) => void
  number: (name: string) => string
} {
  const settled: string[] = []
  const runs = new Map<string, Run>()
  const names = new Map<Run, string>()
  const backoff = new Backoff(new SeededRandom(1), { firstMs: 10, mostMs: 10 })
  const sequence = new RunSequence({
    crc32,
    backoff,
    place: () => undefined,
    settled: (run, error) => settled.push(`${names.get(run)} ${error?.name ?? 'acked'}`),
  })
  sequence.identify(producerId(7))
  const get = (name: string): Run => {
    const run = runs.get(name)
    assert.ok(run)
    return run
  }
  return {
    sequence,
    settled,
    add(name, count = 1) {
      const place = { topicId: topicId(1), partition: partitionNumber(0) }
      const run = new Run({ ...place, kind: 'message' }, 1_000, 300)
      const told = { acked: () => undefined, failed: () => undefined }
      const owner = { ...told, ids: new Uint8Array(16 * count), expiresAt: run.expiresAt }
      for (let slot = 0; slot < count; slot += 1) {
        run.add({ message: prepareMessage({}, name), owner, slot })
      }
      runs.set(name, run)
      names.set(run, name)
      sequence.add(run)
      return run
    },
    take() {
      const run = sequence.take()
      return run === undefined ? undefined : names.get(run)
    },
    ack: (name) => sequence.answered(get(name), { kind: 'acked', result: {} }, 0),
    fail: (name, error) => {
      const failed = { kind: 'failed', error: new MqError(error, error) } as const
      sequence.answered(get(name), failed, 0)
    },
    number(name) {
      const number = get(name).number
      return `${number?.producerEpoch}/${number?.base}`
    },
  }
}

void test('runs are numbered in order, by their counts, five from the oldest that is not answered', () => {
  const { add, take, ack, number } = byHand()
  for (const name of ['a', 'b', 'c', 'd', 'e', 'f']) add(name, 3)
  assert.deepEqual(
    [take(), take(), take(), take(), take(), take()],
    ['a', 'b', 'c', 'd', 'e', undefined],
  )
  assert.deepEqual(['a', 'b', 'c'].map(number), ['0/0', '0/3', '0/6'])
  ack('b')
  assert.equal(take(), undefined, 'the broker remembers five: with f it would forget a')
  ack('a')
  assert.equal(take(), 'f')
})

void test('after a failure nothing is sent until all are answered, then all again, in order and unchanged', () => {
  const { add, take, ack, fail, number, settled } = byHand()
  const runs = ['a', 'b', 'c'].map((name) => add(name))
  for (const name of ['a', 'b', 'c']) assert.equal(take(), name)
  const before = runs.map(({ bytes }) => crc32(bytes))
  fail('a', 'broker_busy')
  fail('b', 'sequence_gap')
  assert.equal(take(), undefined)
  fail('c', 'sequence_gap')
  assert.deepEqual([take(), take(), take()], ['a', 'b', 'c'])
  assert.deepEqual(
    runs.map(({ bytes }) => crc32(bytes)),
    before,
  )
  assert.equal(number('c'), '0/2')
  for (const name of ['a', 'b', 'c']) ack(name)
  assert.deepEqual(settled, ['a acked', 'b acked', 'c acked'])
})

void test('a refused run fails alone: those behind it go on under the next epoch', () => {
  const { add, take, ack, fail, number, settled } = byHand()
  for (const name of ['a', 'b', 'c']) add(name)
  for (const _ of [1, 2, 3]) take()
  ack('a')
  fail('b', 'message_too_large')
  assert.equal(take(), undefined)
  fail('c', 'sequence_gap')
  assert.equal(take(), 'c')
  assert.equal(number('c'), '1/0')
  ack('c')
  assert.deepEqual(settled, ['a acked', 'b message_too_large', 'c acked'])
})

void test('a refused run leaves those before it under their numbers', () => {
  const { add, take, fail, number } = byHand()
  for (const name of ['a', 'b', 'c']) add(name)
  for (const _ of [1, 2, 3]) take()
  fail('b', 'message_too_large')
  fail('a', 'connection_lost')
  fail('c', 'connection_lost')
  assert.deepEqual([take(), take()], ['a', undefined])
  assert.equal(number('a'), '0/0')
})

void test('a first attempt that meets a broker without memory goes on under a new epoch', () => {
  const { add, take, ack, fail, number, settled } = byHand()
  add('a')
  take()
  ack('a')
  add('b')
  take()
  fail('b', 'producer_unknown')
  assert.equal(take(), 'b')
  assert.equal(number('b'), '1/0')
  ack('b')
  assert.deepEqual(settled, ['a acked', 'b acked'])
})

void test('a run that may have been stored is unknown to a broker without memory', () => {
  const { add, take, ack, fail, number, settled } = byHand()
  add('a')
  take()
  ack('a')
  add('b')
  take()
  fail('b', 'timed_out')
  take()
  fail('b', 'producer_unknown')
  assert.deepEqual(settled, ['a acked', 'b outcome_unknown'])
  add('c')
  assert.equal(take(), 'c')
  assert.equal(number('c'), '1/0')
})

void test('at its deadline a run under way is unknown, one that was refused is not', () => {
  const { sequence, add, take, fail, settled } = byHand()
  for (const name of ['a', 'b', 'c']) add(name)
  take()
  fail('a', 'not_leader')
  take()
  sequence.expire(1_000, () => new MqError('unreachable', 'late'))
  assert.deepEqual(settled, ['a outcome_unknown', 'b unreachable', 'c unreachable'])
  add('d')
  assert.equal(take(), undefined, 'an attempt is still under way')
  fail('a', 'timed_out')
  assert.equal(take(), 'd')
})

void test('a fenced producer is fenced for good', () => {
  const { sequence, add, take, fail, settled } = byHand()
  for (const name of ['a', 'b', 'c']) add(name)
  take()
  take()
  fail('a', 'producer_fenced')
  assert.deepEqual(settled, ['a producer_fenced', 'b producer_fenced', 'c producer_fenced'])
  assert.ok(sequence.isFenced)
  add('d')
  assert.equal(take(), undefined)
})

void test('when the epochs are used up a new producer id is needed', () => {
  const { sequence, add, take, fail, number } = byHand()
  for (let taken = 0; taken <= lastProducerEpoch; taken += 1) {
    const name = `r${taken}`
    add(name)
    assert.equal(take(), name)
    fail(name, 'message_too_large')
  }
  add('last')
  assert.ok(sequence.needsProducerId)
  assert.equal(take(), undefined)
  sequence.identify(producerId(8))
  assert.equal(take(), 'last')
  assert.equal(number('last'), '0/0')
})

const steps: Step[] = [
  'add',
  'add',
  'add',
  'send',
  'send',
  'send',
  'deliver',
  'deliver',
  'deliver',
  'deliver',
  'deliver_lost',
  'duplicate',
  'give_up',
  'drop',
  'busy',
  'refuse',
  'forget',
  'wait',
  'wait',
  'expire',
]

void test('whatever the network and the broker do, each run settles once, truly, is stored at most once, in order', () => {
  const script = fc.array(fc.tuple(fc.constantFrom(...steps), fc.nat(1_000)), { maxLength: 120 })
  fc.assert(
    fc.property(script, fc.nat(), (choices, seed) => {
      const model = new RunSequenceModel(seed)
      for (const [step, pick] of choices) model.step(step, pick)
      model.finish()
      assert.ok(!model.hasAskedTooLate, 'only runs that the broker remembers are sent again')
      const stored = new Map<number, number>()
      for (const label of model.log) stored.set(label, (stored.get(label) ?? 0) + 1)
      for (let label = 0; label < model.added; label += 1) {
        const outcomes = model.outcomes.get(label)
        const times = stored.get(label) ?? 0
        assert.equal(outcomes?.length, 1, `run ${label} settles once`)
        assert.ok(times <= 1, `run ${label} is stored at most once`)
        if (outcomes[0] === 'acked') assert.equal(times, 1, `run ${label} was acked`)
        if (outcomes[0] === 'failed') assert.equal(times, 0, `run ${label} was said to have failed`)
      }
      assert.deepEqual(
        model.log,
        model.log.toSorted((a, b) => a - b),
        'the order is kept',
      )
    }),
    { numRuns: Number(process.env['POPMQ_PROPERTY_RUNS'] ?? 2_000) },
  )
})
