import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fetchAll, type Fetches } from './kafka-fetching.ts'

type Answers = Awaited<ReturnType<Fetches['fetch']>>['responses'][number]['partitions']

/** Records that were stored together: their values are their offsets. */
function stored(first: number, count: number): NonNullable<Answers[number]['records']>[number] {
  const records = Array.from({ length: count }, (_, offsetDelta) => ({
    offsetDelta,
    value: Uint8Array.of(first + offsetDelta),
  }))
  return { firstOffset: BigInt(first), lastOffsetDelta: count - 1, records }
}

/** Reads `messages` from answers in turn: what was asked for, and what was taken, a partition before its value. */
async function readFrom(
  answers: readonly Answers[],
  messages: number,
): Promise<{ asked: readonly bigint[][]; taken: readonly string[] }> {
  const asked: bigint[][] = []
  const taken: string[] = []
  const fetch: Fetches['fetch'] = ({ topics }) => {
    const partitions = answers[asked.length]
    asked.push(topics.flatMap((topic) => topic.partitions.map((each) => each.fetchOffset)))
    if (partitions === undefined) return Promise.reject(new Error('it asks for more'))
    return Promise.resolve({ responses: [{ partitions }] })
  }
  await fetchAll({ fetch }, { node: 1, topicId: 'id', partitions: 2 }, (value, stream) => {
    taken.push(`${stream}:${value[0]}`)
    return taken.length === messages
  })
  return { asked, taken }
}

void test('each fetch asks behind what came, until the last message was taken', async () => {
  const { asked, taken } = await readFrom(
    [
      [{ partitionIndex: 1, records: [stored(0, 2), stored(2, 1)] }, { partitionIndex: 0 }],
      [{ partitionIndex: 0, records: [stored(0, 1)] }],
      [{ partitionIndex: 1, records: [stored(3, 3)] }],
    ],
    5,
  )
  assert.deepEqual(asked, [
    [0n, 0n],
    [0n, 3n],
    [1n, 3n],
  ])
  assert.deepEqual(taken, ['1:0', '1:1', '1:2', '0:0', '1:3'])
})

void test('messages that came before are not taken again when what was stored with them comes', async () => {
  const { taken } = await readFrom(
    [
      [{ partitionIndex: 0, records: [stored(0, 2)] }],
      [{ partitionIndex: 0, records: [stored(0, 3), stored(3, 1)] }],
    ],
    4,
  )
  assert.deepEqual(taken, ['0:0', '0:1', '0:2', '0:3'])
})
