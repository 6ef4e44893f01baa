import { test } from 'node:test'
import fc from 'fast-check'
import { type DeliveryStep, examples } from './testing/delivery-steps.ts'
import { drain } from './testing/drain-model.ts'
import { ModelledDelivery } from './testing/modelled-delivery.ts'

const group = fc.nat(1)
const partition = fc.nat(1)
const pick = fc.nat(20)
const share = fc.double({ min: 0, max: 1, noNaN: true })
const does = <Name extends string>(name: Name): fc.Arbitrary<Name> => fc.constant(name)

const step: fc.Arbitrary<DeliveryStep> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: does('send'),
      partition,
      count: fc.integer({ min: 1, max: 6 }),
      isRed: fc.boolean(),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      do: does('pop'),
      group,
      consumer: fc.nat(2),
      max: fc.integer({ min: 1, max: 8 }),
      invisibleMs: fc.constantFrom(700, 2_000, 6_000),
    }),
  },
  {
    weight: 9,
    arbitrary: fc.record({
      do: does('settle'),
      group,
      verb: fc.constantFrom('ack', 'ack', 'nack', 'nack', 'extend', 'release'),
      picks: fc.array(pick, { minLength: 1, maxLength: 4 }),
      delayMs: fc.constantFrom(undefined, 0, 300, 3_000),
      retriable: fc.integer({ min: 0, max: 5 }).map((dice) => dice > 0),
      isForged: fc.nat(30).map((dice) => dice === 30),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: does('pass'),
      durationMs: fc.constantFrom(50, 300, 700, 2_000, 6_000),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: does('reset'), group, partition, share }) },
  { weight: 1, arbitrary: fc.record({ do: does('purge'), partition, share }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: does('changeRetry'),
      group,
      pick,
      to: fc.constantFrom('now', 'dead'),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: does('takeBack'), group, pick }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: does('restart'),
      crash: fc.constantFrom(undefined, 'lose', 'keep', 'random', 'torn'),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: does('check') }) },
)
async function perform(world: ModelledDelivery, each: DeliveryStep): Promise<unknown> {
  switch (each.do) {
    case 'send':
      return world.send(each)
    case 'pop':
      return world.pop(each)
    case 'settle':
      return world.settle(each)
    case 'pass':
      return world.pass(each.durationMs)
    case 'reset':
      return world.reset(each)
    case 'purge':
      return world.purge(each)
    case 'changeRetry':
      return world.changeRetry(each)
    case 'takeBack':
      return world.takeBack(each)
    case 'restart':
      return world.restart(each.crash)
    case 'check':
      return world.check()
  }
}

const runs = Number(process.env['MODEL_RUNS'] ?? 150)
const seed = process.env['MODEL_SEED']

async function holds(steps: readonly DeliveryStep[]): Promise<void> {
  const world = new ModelledDelivery()
  await world.start()
  for (const each of steps) await perform(world, each)
  await world.check()
  await drain(world)
}

void test('every message is in exactly one state, answers are true, and all ends well: as a plain model says', async () => {
  for (const steps of examples) await holds(steps)
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40, size: 'max' }), holds),
    {
      numRuns: runs,
      includeErrorInReport: true,
      ...(seed === undefined || seed === '' ? {} : { seed: Number(seed) }),
    },
  )
})
