import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  delayChange,
  delayList,
  delayShow,
  firstHeldNumber,
  isMqError,
  limits,
  topicId,
} from '@popmq/protocol'
import { FiringWorld } from '../core/holds/testing/firing-world.ts'
import { handleDelayChange } from './delay-change.ts'
import { handleDelayList } from './delay-list.ts'
import { handleDelayShow } from './delay-show.ts'

const text = new TextDecoder()

async function sample(delaysMs: readonly number[]) {
  const world = await FiringWorld.open()
  world.firing.start()
  const numbers = await world.sent(delaysMs)
  const { delays, firing, clock } = world
  const readRecord: FiringWorld['read'] = (position, bytes) => world.read(position, bytes)
  return { world, numbers, delays, firing, clock, readRecord }
}

void test('a list is told page by page, and says when nothing follows', async () => {
  const given = await sample([10, 20, 30])
  const request = { topicId: topicId(1), limit: 2 }
  const { reply: first } = await handleDelayList(request, given)
  assert.deepEqual(delayList.reply(first, 'reply'), first)
  assert.deepEqual(
    [first.messages.map(({ number }) => number), first.complete, first.total],
    [given.numbers.slice(0, 2), false, 3],
  )
  const { reply: rest } = await handleDelayList({ ...request, after: given.numbers[1] ?? 0 }, given)
  assert.deepEqual(
    [rest.messages.map(({ number }) => number), rest.complete],
    [given.numbers.slice(2), true],
  )
  const { reply: none } = await handleDelayList({ ...request, topicId: topicId(9) }, given)
  assert.deepEqual(none, { messages: [], complete: true, total: 0 })
})

void test('one message is shown with its record; one that does not wait is refused', async () => {
  const given = await sample([10, 20])
  const number = given.numbers[1] ?? 0
  const { reply, slices = [] } = await handleDelayShow({ number }, given)
  assert.deepEqual(delayShow.reply(reply, 'reply'), reply)
  assert.equal(reply.message.dueAt, given.clock.now() + 20)
  assert.equal(slices[0]?.length, reply.message.bytes)
  assert.ok(text.decode(slices[0]).endsWith('1 after 20'))
  await given.clock.run(100)
  await assert.rejects(handleDelayShow({ number }, given), (error: unknown) =>
    isMqError(error, 'message_not_found'),
  )
})

void test('a message is cancelled or moved once that is durable; a delivered or unknown one is called so', async () => {
  const given = await sample([50, 60, 70])
  const [cancelled = 0, moved = 0, left = 0] = given.numbers
  const change = async (number: number, deliverAt?: number) => {
    const request = deliverAt === undefined ? { number } : { number, deliverAt }
    const { reply } = await handleDelayChange(request, given)
    return delayChange.reply(reply, 'reply')
  }
  const later = given.clock.now() + 500
  assert.deepEqual(await change(cancelled), { result: 'done' })
  assert.deepEqual(await change(moved, later), { result: 'done', dueAt: later })
  assert.equal(given.world.log.synced, given.world.log.end)
  await given.clock.run(400)
  const visible = await given.world.visible()
  assert.deepEqual(
    visible.map(({ settles }) => settles),
    [left],
  )
  assert.deepEqual(await change(left), { result: 'delivered' })
  assert.deepEqual(await change(left, later), { result: 'delivered' })
  assert.deepEqual(await change(cancelled), { result: 'unknown' })
  assert.deepEqual(await change(firstHeldNumber + 99), { result: 'unknown' })
})

void test('a message is not moved further away than a message may be delayed', async () => {
  const given = await sample([50])
  const [number = 0] = given.numbers
  const deliverAt = given.clock.now() + limits.delayMs + 1
  await assert.rejects(handleDelayChange({ number, deliverAt }, given), (error: unknown) =>
    isMqError(error, 'invalid_request'),
  )
  assert.equal(given.delays.get(number)?.dueAt, given.clock.now() + 50)
})
