/** The consume queues against plain arrays: any history of records, flushes, checkpoints, drops and crashes. */
import { test } from 'node:test'
import { crashModes } from '@popmq/kit/testing'
import fc from 'fast-check'
import { QueueWorld } from './testing/queue-world.ts'

const weights = {
  messages: 8,
  hold: 2,
  take: 3,
  settle: 2,
  roll: 2,
  horizon: 3,
  clean: 3,
  retire: 3,
  drop: 2,
  gone: 1,
  flush: 2,
  flushBehind: 2,
  flushOnFullDisk: 1,
  checkpoint: 4,
  crash: 3,
  check: 3,
}
type Op = keyof typeof weights

const ops = Object.entries(weights).flatMap(([op, weight]) =>
  Array.from({ length: weight }, () => op as Op),
)
const step = fc.record({ op: fc.constantFrom(...ops), choice: fc.nat(999), isOdd: fc.boolean() })

function pick<T>(values: readonly [T, ...T[]], choice: number): T {
  return values[choice % values.length] ?? values[0]
}

const actions: Record<
  Op,
  (world: QueueWorld, choice: number, isOdd: boolean) => Promise<void> | void
> = {
  messages: (world, choice) => world.messages(choice, pick([1, 5, 60, 126, 127, 128, 260], choice)),
  hold: (world, choice) => world.hold(choice),
  take: (world, choice) => world.take(choice, pick([1, 7, 50, 130], choice)),
  settle: (world, choice) => world.settle(pick([1, 2, 5], choice)),
  roll: (world) => world.roll(),
  horizon: (world, choice) => world.horizon(choice, pick([0.3, -0.5, 0.01, 0.7, 1], choice)),
  clean: (world, choice) => world.clean(choice, pick([1, 1, 3, 40], choice)),
  retire: (world, _, isOdd) => world.retire(isOdd),
  drop: (world) => world.drop(),
  gone: (world) => world.gone(2),
  flush: (world) => world.flush(),
  flushBehind: (world) => world.flushBehind(),
  flushOnFullDisk: (world, choice) => world.flushOnFullDisk(pick([0, 5_000], choice)),
  checkpoint: (world) => world.checkpoint(),
  crash: (world, choice, isOdd) => world.crash(pick(crashModes, choice), isOdd),
  check: (world, choice) => world.check(choice),
}

void test('any history leaves the consume queues as plain arrays would be, crashes included', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 1, maxLength: 60, size: 'max' }),
      async (steps) => {
        const world = new QueueWorld()
        await world.start()
        for (const { op, choice, isOdd } of steps) await actions[op](world, choice, isOdd)
        await world.check(1)
        await world.crash('lose', false)
        await world.check(2)
        await world.horizon(0, 0.5)
        await world.check(3)
      },
    ),
    { numRuns: 100 },
  )
})
