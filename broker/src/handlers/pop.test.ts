import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Clock } from '@popmq/kit'
import { Scheduler } from '@popmq/kit/testing'
import { groupId, topicId } from '@popmq/protocol'
import type { GroupDispatch } from '../core/delivery/group-dispatch.ts'
import { PopWaiters } from '../core/delivery/pop-waiters.ts'
import { handlePopHint, type PopParts } from './pop.ts'

void test('a held request whose timer comes early is answered when its time is up', async () => {
  const scheduler = new Scheduler()
  const early: Clock = {
    now: () => scheduler.now(),
    monotonic: () => scheduler.monotonic(),
    after: (delayMs, callback) => scheduler.after(Math.max(0, delayMs - 0.5), callback),
  }
  const quiet = {
    id: groupId(7),
    waiters: new PopWaiters(),
    topic: () => ({ topicId: topicId(1), mode: 'pop', isPaused: false }),
    isReady: () => false,
    passOn: () => undefined,
  }
  const dispatch = {
    group: () => quiet as unknown as GroupDispatch,
  } as unknown as PopParts['dispatch']
  const asked = { groupId: groupId(7), topics: [topicId(1)], waitMs: 3_000 }
  const context = { isClosed: false, onClosed: () => undefined }
  const answered = handlePopHint(asked, context, {
    dispatch,
    clock: early,
    isStopping: () => false,
  })
  await scheduler.run(3_010)
  const outcome = await Promise.race([answered, Promise.resolve('still held')])
  assert.deepEqual(outcome, { reply: { isReady: false } })
})
