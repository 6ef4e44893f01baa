import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Client, GroupStates, MessageStates } from '@popmq/client'
import { isMqError } from '@popmq/client'
import { checkDrained } from './drained-group.ts'

const none: MessageStates = {
  ...{ ready: 0, leased: 0, retrying: 0, parked: 0, dead: 0, acked: 0, skipped: 0 },
}

/** A cluster that answers so for a group: a row per partition of the topic `t`. */
function telling(
  rows: readonly { messages?: number; states: Partial<MessageStates> }[],
  unknown: GroupStates['unknown'] = [],
): Pick<Client, 'admin'> {
  const partitions = rows.map(({ messages = 0, states }, partition) => ({
    ...{ topic: 't', partition, committed: -1, low: 0, high: 10, lagMs: 0, messages },
    states: { ...none, ...states },
  }))
  const states = (): Promise<GroupStates> => Promise.resolve({ partitions, unknown, delayed: [] })
  // Only this of it is asked for.
  return { admin: () => ({ groups: () => ({ states }) }) } as unknown as Pick<Client, 'admin'>
}

const expected = { topic: 't', group: 'g', acked: 19, leased: 1 }

void test('a group whose messages are where they should be is drained', async () => {
  const rows = [{ states: { acked: 10 } }, { states: { acked: 9, leased: 1 } }]
  await assert.doesNotReject(checkDrained(telling(rows), expected))
})

void test('a message that is anywhere else is found', async () => {
  const acked = { states: { acked: 10 } }
  const others: [Pick<Client, 'admin'>, RegExp][] = [
    [telling([acked, { states: { acked: 9 } }]), / 0 leased,/],
    [telling([acked, { states: { acked: 8, leased: 1 } }]), / 18 acked,/],
    [telling([acked, { messages: 2, states: { acked: 9, leased: 1 } }]), / 2 lag,/],
    [telling([acked, { states: { acked: 9, leased: 1, dead: 3 } }]), / 3 elsewhere,/],
    [
      telling([acked, { states: { acked: 9, leased: 1 } }], [{ topic: 't', partition: 2 }]),
      / 1 unknown/,
    ],
  ]
  for (const [cluster, what] of others) {
    await assert.rejects(
      checkDrained(cluster, expected),
      (error) => isMqError(error, 'internal') && what.test(error.message),
    )
  }
})
