import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { FrameReader } from './frame-reader.ts'

void test('frames come out whole however their bytes are cut', () => {
  const bodies = fc.array(fc.uint8Array({ minLength: 1, maxLength: 40 }), { maxLength: 12 })
  const property = fc.property(bodies, fc.array(fc.nat(30)), (given, cuts) => {
    const frames = given.map(frameOf)
    const reader = new FrameReader(40)
    const read = cutUp(Buffer.concat(frames), cuts).flatMap((chunk) => reader.push(chunk))
    assert.deepEqual(read, frames)
  })
  fc.assert(property, { numRuns: 200 })
})

void test('a length that no frame has is refused before its bytes are awaited', () => {
  for (const length of [0, -1, 41]) {
    const header = Buffer.alloc(4)
    header.writeInt32BE(length)
    assert.throws(() => new FrameReader(40).push(header), /a frame of/)
  }
})

function frameOf(body: Uint8Array): Buffer {
  const frame = Buffer.alloc(4 + body.length)
  frame.writeInt32BE(body.length)
  frame.set(body, 4)
  return frame
}

function cutUp(bytes: Buffer, sizes: readonly number[]): Buffer[] {
  const chunks: Buffer[] = []
  let at = 0
  for (const size of sizes) {
    chunks.push(bytes.subarray(at, at + size))
    at = Math.min(bytes.length, at + size)
  }
  return [...chunks, bytes.subarray(at)]
}
