/** What a producing process does with any peer's client: batches under way side by side, as PopMQ's does. */
import { batchesUnderWay, keys } from '../workload.ts'
import { writeNumber } from '../tally.ts'
import type { Outgoing, PeerClient } from './clients/peer-client.ts'
import type { SendGiven } from './sides.ts'

const keyList = keys()

/** Resolves when all is acknowledged. */
export async function sendAll(client: PeerClient, given: SendGiven): Promise<void> {
  const { run, messages, batch, sizeBytes } = given
  let next = 0
  const lane = async (): Promise<void> => {
    const filled = makeBatch(given)
    while (next < messages) {
      const count = Math.min(batch, messages - next)
      fillBatch(filled, next, run.streams)
      next += count
      await client.send(run, count === batch ? filled : filled.slice(0, count), sizeBytes)
    }
  }
  await Promise.all(Array.from({ length: batchesUnderWay({ batch, sizeBytes }) }, lane))
}

export function makeBatch({
  batch,
  sizeBytes,
}: Pick<SendGiven, 'batch' | 'sizeBytes'>): Outgoing[] {
  const slab = Buffer.alloc(batch * sizeBytes, 'a')
  return Array.from({ length: batch }, (_, index) => ({
    stream: 0,
    key: '',
    number: 0,
    value: slab.subarray(index * sizeBytes, (index + 1) * sizeBytes),
  }))
}

/** Makes `batch` the messages from number `first` on: 1,000 keys, each of which is always in one stream. */
export function fillBatch(batch: readonly Outgoing[], first: number, streams: number): void {
  for (const [index, message] of batch.entries()) {
    const number = first + index
    const keyNumber = number % keyList.length
    message.number = number
    message.key = keyList[keyNumber] ?? ''
    message.stream = keyNumber % streams
    writeNumber(message.value, number)
  }
}
