import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MemoryStorage, randomLatency, Scheduler, SeededRandom } from '@popmq/kit/testing'
import { firstHeldNumber } from '@popmq/protocol'
import fc from 'fast-check'
import type { HoldOutcome } from './hold-changes.ts'
import { FiringWorld } from './testing/firing-world.ts'

interface Wish {
  readonly number: number
  readonly dueAt: number | undefined
  readonly outcome: HoldOutcome
}

const wish = fc.record({
  atMs: fc.nat(300),
  index: fc.nat(5),
  dueInMs: fc.option(fc.nat(200), { nil: undefined }),
})

void test('of cancelling, moving and delivering one message one wins, whatever the disk takes', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(wish, { maxLength: 12 }), fc.nat(1_000), async (wishes, seed) => {
      const clock = new Scheduler()
      const random = new SeededRandom(seed)
      const schedule = randomLatency(clock, random, { lowMs: 0.1, highMs: 30 })
      const opening = FiringWorld.open(new MemoryStorage({ schedule }), clock)
      await clock.run(1_000)
      const world = await opening
      world.firing.start()
      const placed = world.send([100, 100, 150, 200, 200, 250])
      assert.ok('baseOffset' in placed)
      await clock.run(60)
      const answers: Wish[] = []
      let asked = 0
      for (const { atMs, index, dueInMs } of wishes) {
        clock.after(atMs, () => {
          asked += 1
          const number = firstHeldNumber + index
          const dueAt = dueInMs === undefined ? undefined : clock.now() + dueInMs
          const answer =
            dueAt === undefined ? world.firing.cancel(number) : world.firing.move(number, dueAt)
          void answer.then((outcome) => answers.push({ number, dueAt, outcome }))
        })
      }
      await clock.run(5_000)
      assert.equal(answers.length, asked)
      // On this disk even reading takes its time.
      const reading = world.visible()
      await clock.run(1_000)
      const visible = await reading
      for (let index = 0; index < 6; index += 1) {
        const number = firstHeldNumber + index
        const own = answers.filter((answer) => answer.number === number)
        const copies = visible.filter(({ settles }) => settles === number)
        const done = own.filter(({ outcome }) => outcome === 'done')
        const isCancelled = done.some(({ dueAt }) => dueAt === undefined)
        assert.equal(copies.length, isCancelled ? 0 : 1)
        const last = done.at(-1)?.dueAt
        if (last !== undefined && !isCancelled)
          assert.ok((copies[0]?.appendedAt ?? 0) >= last, 'not before the time it was moved to')
        if (isCancelled) assert.ok(own.every(({ outcome }) => outcome !== 'delivered'))
      }
      assert.deepEqual(world.failures, [])
    }),
    { numRuns: 150 },
  )
})
