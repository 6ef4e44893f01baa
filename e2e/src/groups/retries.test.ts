import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Client, GroupConsumer } from '@popmq/client'
import { GroupWorld } from './group-world.ts'

/** Reads on until it is closed: notes what it saw with its attempt, and retries what `fails` says. */
function read(
  client: Client,
  fails: (value: unknown, attempt: number) => boolean,
): { readonly consumer: GroupConsumer; readonly seen: string[]; readonly ended: Promise<void> } {
  const consumer = client.pullConsumer({ group: 'billing', topics: ['orders'] })
  const seen: string[] = []
  const loop = async (): Promise<void> => {
    for await (const { messages } of consumer) {
      for (const message of messages) {
        seen.push(`${String(message.value)}/${message.attempt}`)
        if (fails(message.value, message.attempt)) await consumer.retry(message)
      }
    }
  }
  return { consumer, seen, ended: loop() }
}

async function setUp(count: number): Promise<{ world: GroupWorld; client: Client }> {
  const world = await GroupWorld.start()
  const client = await world.connect()
  await world.until(client.admin().createTopic('orders', { partitions: 1 }))
  await world.until(client.admin().groups().setConfig('billing', { backoff: '500ms' }))
  const messages = Array.from({ length: count }, (_, value) => ({ topic: 'orders', value }))
  await world.until(client.producer().sendBatch(messages))
  return { world, client }
}

const firstAttempts = (values: readonly number[]): string[] => values.map((value) => `${value}/1`)

void test('what a member of a pulling group retries comes again to the group, the others go on', async () => {
  const { world, client } = await setUp(4)
  const reader = read(client, (value, attempt) => value === 1 && attempt < 3)
  await world.clock.run(5_000)
  assert.deepEqual(reader.seen, [...firstAttempts([0, 1, 2, 3]), '1/2', '1/3'])
  await world.until(reader.consumer.close())
  await reader.ended
  const [lag] = await world.until(client.admin().groups().lag('billing'))
  assert.equal(lag?.messages, 0)
})

void test('a reset delivers again what was set aside before, and voids what still was to be retried', async () => {
  const { world, client } = await setUp(4)
  const reader = read(
    client,
    (value, attempt) => attempt === 1 && value !== 0 && reader.seen.length < 5,
  )
  // 1 is done with as a retry; 3 waits for its time when the group is reset.
  await world.clock.run(300)
  assert.deepEqual(reader.seen, firstAttempts([0, 1, 2, 3]))
  const groups = client.admin().groups()
  await world.until(groups.resetProgress('billing', 'orders', { to: 'earliest' }))
  await world.clock.run(20_000)
  assert.deepEqual(reader.seen.slice(4).toSorted(), firstAttempts([0, 1, 2, 3]))
  await world.until(reader.consumer.close())
  await reader.ended
})
