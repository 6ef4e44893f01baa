import assert from 'node:assert/strict'
import { test } from 'node:test'
import { between } from '@popmq/kit'
import { Scheduler, SeededRandom } from '@popmq/kit/testing'
import {
  decodeBody,
  errorFrameType,
  type ErrorName,
  fetch,
  hello,
  metadata,
  MqError,
  produce,
  readFrames,
} from '@popmq/protocol'
import { replyBit, requestBodyLimits, topicCreate } from '@popmq/protocol'
import type { Channel, ChannelReceiver } from './channel.ts'
import { readErrorFrame } from './error-frame.ts'
import { frameParts } from './frame-parts.ts'
import { respond } from './responder.ts'
import { route, routes } from './routes.ts'

/** What a client may be told about bytes that it got wrong; anything else is a defect of ours. */
const blamed: readonly ErrorName[] = [
  'malformed_frame',
  'malformed_body',
  'invalid_request',
  'unsupported_version',
  'unknown_request',
  'hello_required',
  'too_many_requests',
]

const whole = (type: number, fields: object, bytes = 0): Uint8Array =>
  Buffer.concat(
    frameParts({ type, correlationId: type, fields, slices: [new Uint8Array(bytes).fill(0xa5)] }),
  )

const greeting = whole(hello.type, {
  client: 'fuzz',
  lowestVersion: 1,
  highestVersion: 1,
  auth: 'x',
})
const valid: readonly Uint8Array[] = [
  greeting,
  whole(metadata.type, { topics: ['orders', 'mail'] }),
  whole(topicCreate.type, {
    name: 'orders',
    partitions: 8,
    config: { retention: '72h', maxBytes: '1' },
  }),
  whole(
    produce.type,
    { acks: 'disk', runs: [{ topicId: 1, partition: 0, bytes: 200, count: 2 }] },
    200,
  ),
  whole(fetch.type, {
    partitions: [{ topicId: 1, partition: 3, offset: 5e9, tagHashes: [1, 2 ** 32 - 1] }],
    waitMs: 1_000,
    maxBytes: 65_536,
  }),
]

/** One valid message, or several in one, changed in up to four places: bits, bytes, numbers, cuts, splices of another. */
function mutated(random: SeededRandom): Uint8Array {
  const pick = (): Uint8Array => valid[between(random, 0, valid.length - 1)] ?? greeting
  let message = Buffer.concat(random.next() < 0.2 ? [pick(), pick()] : [pick()])
  for (let changes = between(random, 1, 4); changes > 0 && message.length > 0; changes -= 1) {
    const at = between(random, 0, message.length - 1)
    switch (between(random, 0, 6)) {
      case 0:
        message[at] = (message[at] ?? 0) ^ (1 << between(random, 0, 7))
        break
      case 1:
        message[at] = between(random, 0, 255)
        break
      case 2:
        message = message.subarray(0, at)
        break
      case 3: {
        const other = pick()
        message = Buffer.concat([
          message.subarray(0, at),
          other.subarray(between(random, 0, other.length - 1)),
        ])
        break
      }
      case 4:
        if (message.length >= 12)
          message.writeUInt32BE(Math.max(0, message.length - 12 + between(random, -2, 2)), 8)
        break
      case 5:
        // A CBOR head that lies about what follows.
        message[at] = (between(random, 0, 7) << 5) | between(random, 23, 31)
        break
      default:
        message = Buffer.concat([
          message.subarray(0, at),
          Buffer.of(between(random, 0, 255)),
          message.subarray(at),
        ])
    }
  }
  return message
}

/** A channel whose peer is this test: no clock between the two. */
class DirectChannel implements Channel {
  readonly remote = 'fuzz'
  readonly bufferedBytes = 0
  readonly sent: Uint8Array[] = []
  receiver: ChannelReceiver | undefined
  isClosed = false
  send(parts: readonly Uint8Array[]): void {
    this.sent.push(Buffer.concat(parts))
  }
  receive(receiver: ChannelReceiver): void {
    this.receiver = receiver
  }
  pause(): void {
    return
  }
  resume(): void {
    return
  }
  close(): void {
    this.isClosed = true
  }
}

const handlers = routes(
  route(metadata, () => ({ reply: { clusterId: 'c', topics: [], sets: [], brokers: [] } })),
  route(topicCreate, ({ name }) => {
    throw new MqError('invalid_request', `field name ${name} is taken`)
  }),
  route(produce, ({ acks }, { bytes }) =>
    acks === 'none' ? undefined : { reply: { results: [] }, slices: [bytes] },
  ),
  route(fetch, () => ({ reply: { results: [] } })),
)

void test('25,000 mutated messages are parsed or refused by name', () => {
  const random = new SeededRandom(1)
  const outcomes = { parsed: 0, refused: 0 }
  for (let round = 0; round < 25_000; round += 1) {
    const message = mutated(random)
    try {
      for (const { body } of readFrames(message)) {
        const { fields, bytes } = decodeBody(body, requestBodyLimits)
        assert.ok(typeof fields === 'object' && bytes.length <= body.length)
      }
      outcomes.parsed += 1
    } catch (error) {
      if (!(error instanceof MqError) || !blamed.includes(error.name)) {
        throw new Error(`round ${round} of ${Buffer.from(message).toString('hex')}`, {
          cause: error,
        })
      }
      outcomes.refused += 1
    }
  }
  assert.ok(outcomes.parsed > 1_000 && outcomes.refused > 1_000, JSON.stringify(outcomes))
})

void test('20,000 mutated messages get answers or named errors from a responder, never a defect', () => {
  const random = new SeededRandom(2)
  const clock = new Scheduler()
  let answers = 0
  let errors = 0
  for (let round = 0; round < 11_500; round += 1) {
    const channel = new DirectChannel()
    const defects: unknown[] = []
    respond(channel, {
      role: 'broker',
      clusterId: () => 'c',
      clock,
      routes: handlers,
      observe: (event) => void (event.kind === 'defect' && defects.push(event.error)),
    })
    const messages =
      round % 4 === 0 ? [mutated(random)] : [greeting, mutated(random), mutated(random)]
    for (const message of messages) channel.receiver?.message(message)
    assert.deepEqual(defects, [], `round ${round}`)
    for (const { type, body } of channel.sent.flatMap((sent) => readFrames(sent))) {
      if (type === errorFrameType) {
        errors += 1
        assert.ok(
          blamed.includes(readErrorFrame(body).name),
          `round ${round}: ${readErrorFrame(body).name}`,
        )
      } else {
        answers += 1
        assert.ok((type & replyBit) !== 0)
      }
    }
    channel.receiver?.closed(undefined)
  }
  assert.ok(answers > 5_000 && errors > 5_000, `${answers} answers, ${errors} errors`)
})
