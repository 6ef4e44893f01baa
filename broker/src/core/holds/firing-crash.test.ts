import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Storage } from '@popmq/kit'
import { enumerateCrashPoints, Scheduler } from '@popmq/kit/testing'
import type { Delay } from './delay-rows.ts'
import type { HoldOutcome } from './hold-changes.ts'
import { FiringWorld } from './testing/firing-world.ts'

/** What somebody was told, or was about to ask for. */
type Promised =
  | { readonly what: 'sent'; readonly number: number; readonly dueAt: number }
  | { readonly what: 'asked'; readonly number: number; readonly dueAt: number | undefined }
  | {
      readonly what: 'answered'
      readonly number: number
      readonly dueAt: number | undefined
      readonly outcome: HoldOutcome
    }
  | { readonly what: 'visible'; readonly numbers: readonly number[] }

async function script(storage: Storage, note: (promised: Promised) => void): Promise<void> {
  const world = await FiringWorld.open(storage)
  const { clock, firing } = world
  firing.start()
  const sent: number[] = []
  const send = async (delaysMs: readonly number[]): Promise<void> => {
    const base = clock.now()
    const numbers = await world.sent(delaysMs)
    sent.push(...numbers)
    for (const [index, number] of numbers.entries())
      note({ what: 'sent', number, dueAt: base + (delaysMs[index] ?? 0) })
  }
  const change = async (index: number, dueInMs?: number): Promise<void> => {
    const number = sent[index] ?? 0
    const dueAt = dueInMs === undefined ? undefined : clock.now() + dueInMs
    note({ what: 'asked', number, dueAt })
    const outcome = await (dueAt === undefined ? firing.cancel(number) : firing.move(number, dueAt))
    note({ what: 'answered', number, dueAt, outcome })
  }
  await send([100, 50, 300])
  await Promise.all([change(2), clock.run(60)])
  await send([20, 20, 500])
  await clock.run(20)
  note({ what: 'visible', numbers: (await world.visible()).map(({ settles }) => settles) })
  await Promise.all([change(5, 40), change(0), clock.run(50)])
  await Promise.all([change(0), change(3), clock.run(1_000)])
}

/** What may be found after a crash of what was promised of one message. */
function check(promises: readonly Promised[], found: readonly number[], number: number): void {
  const times = found.filter((settled) => settled === number).length
  const own = promises.filter((each) => 'number' in each && each.number === number)
  const outcomes = own.flatMap((each) => (each.what === 'answered' ? [each] : []))
  const isCancelled = outcomes.some(
    ({ outcome, dueAt }) => outcome === 'done' && dueAt === undefined,
  )
  const mayBeCancelled = own.some((each) => each.what === 'asked' && each.dueAt === undefined)
  const isDelivered = outcomes.some(({ outcome }) => outcome === 'delivered')
  assert.ok(times <= 1, `${number} became visible ${times} times`)
  assert.ok(!(isCancelled && isDelivered), `${number} is both`)
  if (isCancelled) assert.equal(times, 0, `${number} was cancelled`)
  else if (isDelivered || !mayBeCancelled) assert.equal(times, 1, `${number} is lost`)
}

void test('after a crash at any effect each message is delivered once, in time, or was cancelled: never both', async () => {
  const crashes = await enumerateCrashPoints<Promised>(
    script,
    async (storage, { notes }) => {
      const world = await FiringWorld.open(storage, new Scheduler())
      const pending = new Map<number, Delay>()
      for (const delay of world.delays.due({
        nowMs: Number.POSITIVE_INFINITY,
        most: 100,
        isWithheld: () => false,
      }))
        pending.set(delay.number, delay)
      world.firing.start()
      await world.clock.run(10_000)
      const visible = await world.visible()
      const found = visible.map(({ settles }) => settles)
      for (const promised of notes) {
        if (promised.what === 'visible')
          for (const number of promised.numbers) assert.ok(found.includes(number))
        if (promised.what === 'sent') check(notes, found, promised.number)
      }
      for (const { settles, appendedAt } of visible) {
        const dueAt = pending.get(settles)?.dueAt ?? 0
        assert.ok(appendedAt >= dueAt, `${settles} is early by ${dueAt - appendedAt} ms`)
      }
      assert.equal(world.delays.size, 0)
      assert.deepEqual(world.failures, [])
    },
    { modes: ['lose', 'keep', 'torn'], draws: 2 },
  )
  assert.ok(crashes > 50, `${crashes} crashes`)
})
