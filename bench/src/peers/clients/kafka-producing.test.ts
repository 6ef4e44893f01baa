import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Producing, type SentBatch } from './kafka-producing.ts'

void test('batches that are sent side by side are written in the order in which they were given', async () => {
  const written: number[] = []
  const answers: (() => void)[] = []
  // As KafkaJS does: the first of several that begin together takes the longest way to the socket.
  const sendBatch = async ({ topicMessages }: SentBatch): Promise<void> => {
    const messages = topicMessages[0]?.messages ?? []
    const [first] = messages
    if (first === undefined) return
    for (let step = first.partition; step < 8; step += 1) await Promise.resolve()
    written.push(first.partition)
    await new Promise<void>((resolve) => answers.push(resolve))
  }
  const done = (): Promise<void> => Promise.resolve()
  const producing = await Producing.open(
    { producer: () => ({ connect: done, disconnect: done, sendBatch }) },
    'topic',
  )
  const value = Buffer.alloc(1)
  const sent = [0, 1, 2, 3].map((stream) =>
    producing.send([{ stream, key: 'k', number: stream, value }]),
  )
  while (written.length < sent.length) await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual(written, [0, 1, 2, 3])
  assert.equal(answers.length, sent.length, 'none waits for the answer of another')
  for (const answer of answers) answer()
  await Promise.all(sent)
  await producing.close()
})
