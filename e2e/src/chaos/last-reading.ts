import type { Client } from '@popmq/client'
import type { Bounds, Ledger } from './ledger.ts'
import type { Problems } from './problems.ts'
import { ReadingOrder } from './reading-order.ts'

const waitMs = 10_000

export interface LastReading {
  readonly topic: string
  readonly ledger: Ledger
  readonly problems: Problems
}

/** Reads every partition from its low to its high, and compares. @returns the bounds */
export async function readLast(
  client: Client,
  { topic, ledger, problems }: LastReading,
): Promise<readonly Bounds[]> {
  const bounds = await client.admin().offsets(topic)
  const order = new ReadingOrder({
    reader: 'the last reader',
    ledger,
    problems,
    from: bounds.toSorted((a, b) => a.partition - b.partition).map(({ low }) => low),
    isLast: true,
  })
  const from = bounds.map(({ partition, low }) => ({ topic, partition, offset: low }))
  const partitions = bounds.map(({ partition }) => ({ topic, partition }))
  await using consumer = client.pullConsumer({ partitions, from, waitMs })
  const left = (): number =>
    bounds.reduce((sum, { partition, high }) => sum + high - (order.next[partition] ?? 0), 0)
  while (left() > 0) {
    const messages = await consumer.receive({ max: 10_000 })
    if (messages.length === 0) {
      problems.tell('gap', `the last reader waited ${waitMs} ms in vain for ${left()} messages`)
      break
    }
    order.saw(messages)
  }
  ledger.finish(bounds)
  return bounds
}
