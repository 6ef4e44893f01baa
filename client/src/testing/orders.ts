import type { Message } from '../api/message.ts'
import type { OutgoingMessage } from '../api/outgoing-message.ts'
import type { PullConsumer } from '../api/pull-consumer.ts'
import type { Asked, Fault } from './faults.ts'
import type { World } from './world.ts'

/** Numbers as texts. */
export function texts(count: number, from = 0): string[] {
  return Array.from({ length: count }, (_, index) => String(from + index))
}

export function orders(...values: readonly string[]): OutgoingMessage[] {
  return values.map((value) => ({ topic: 'orders', value }))
}

/** Faults for the next produce requests, in order; those after are carried out. */
export function produceFaults(
  ...faults: (Fault | undefined)[]
): (asked: Asked) => Fault | undefined {
  return ({ name }) => (name === 'produce' ? faults.shift() : undefined)
}

/** Sends the values, texts of numbers, to one partition, tagged even or odd. */
export async function fill(
  { client, until }: World,
  values: readonly string[],
  partition = 0,
): Promise<void> {
  const messages = values.map((value) => {
    const tag = Number(value) % 2 === 0 ? 'even' : 'odd'
    return { topic: 'orders', value, partition, key: `k${value}`, tag }
  })
  await until(client.producer().sendBatch(messages))
}

export function valuesOf(messages: readonly Message[]): unknown[] {
  return messages.map(({ value }) => value)
}

/** Receives until `count` messages came. */
export async function take(
  world: World,
  consumer: PullConsumer,
  count: number,
): Promise<Message[]> {
  const all: Message[] = []
  while (all.length < count) {
    all.push(...(await world.until(consumer.receive({ max: count - all.length }))))
  }
  return all
}
