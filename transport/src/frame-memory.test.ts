import assert from 'node:assert/strict'
import { test } from 'node:test'
import { frameMemory } from './frame-memory.ts'

void test('no two frames share a byte, however long they are', () => {
  const lengths = Array.from({ length: 400 }, (_, index) => (index * 977) % 16_500)
  const frames = [...lengths, 70_000, 1].map((length) => frameMemory(length))
  for (const [index, frame] of frames.entries()) frame.fill(index % 251)
  for (const [index, frame] of frames.entries())
    assert.ok(frame.every((byte) => byte === index % 251))
  assert.deepEqual(
    frames.map(({ length }) => length),
    [...lengths, 70_000, 1],
  )
})
