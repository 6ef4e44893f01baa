import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isMqError } from './errors.ts'
import { type Frame, frameHeaderBytes, readFrames, writeFrameHeader } from './frame.ts'
import { limits } from './limits.ts'

function frame(type: number, correlationId: number, body: Uint8Array): Buffer {
  const head = new Uint8Array(frameHeaderBytes)
  writeFrameHeader(head, { type, correlationId, bodyBytes: body.length })
  return Buffer.concat([head, body])
}

const plain = ({ type, correlationId, body }: Frame): unknown => [type, correlationId, [...body]]
const isMalformed = (error: unknown): boolean => isMqError(error, 'malformed_frame')

void test('frames of one message are read as they were written', () => {
  const one = fc.tuple(
    fc.integer({ min: 0, max: 255 }),
    fc.integer({ min: 0, max: 2 ** 32 - 1 }),
    fc.uint8Array(),
  )
  fc.assert(
    fc.property(fc.array(one, { minLength: 1, maxLength: 20 }), (frames) => {
      const message = Buffer.concat(frames.map(([type, id, body]) => frame(type, id, body)))
      assert.deepEqual(
        readFrames(message).map(plain),
        frames.map(([type, id, body]) => [type, id, [...body]]),
      )
    }),
  )
})

void test('any cut of a message inside a frame is malformed', () => {
  const message = Buffer.concat([frame(1, 1, Buffer.alloc(5)), frame(2, 2, Buffer.alloc(7))])
  for (let length = 0; length < message.length; length += 1) {
    if (length !== 17)
      assert.throws(() => readFrames(message.subarray(0, length)), isMalformed, String(length))
  }
  assert.equal(readFrames(message.subarray(0, 17)).length, 1)
})

void test('a length that lies is malformed before anything is allocated for it', () => {
  for (const length of [0x7fff_ffff, 0xffff_ffff, limits.frameBodyBytes + 1, 6, 4]) {
    const message = frame(1, 1, Buffer.alloc(5))
    message.writeUInt32BE(length, 8)
    assert.throws(() => readFrames(message), isMalformed, String(length))
  }
})

void test('a message holds at most 1,024 frames', () => {
  const message = (count: number): Buffer =>
    Buffer.concat(Array.from({ length: count }, () => frame(1, 1, Buffer.of())))
  assert.equal(readFrames(message(limits.framesPerMessage)).length, 1_024)
  assert.throws(() => readFrames(message(limits.framesPerMessage + 1)), isMalformed)
})
