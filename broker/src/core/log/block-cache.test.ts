import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MemoryStorage } from '@popmq/kit/testing'
import { logPosition } from '@popmq/protocol'
import { BlockCache } from './block-cache.ts'
import { Segments } from './segments.ts'

async function world(): Promise<{ segments: Segments; bytes: Uint8Array }> {
  const segments = await Segments.open(new MemoryStorage())
  const bytes = Uint8Array.from({ length: 5_000 }, (_, index) => index % 251)
  await segments.roll(logPosition(0))
  await segments.write(logPosition(0), [bytes.subarray(0, 3_000)])
  await segments.roll(logPosition(3_000))
  await segments.write(logPosition(3_000), [bytes.subarray(3_000)])
  return { segments, bytes }
}

void test('any range is read back, across blocks and segments', async () => {
  const { segments, bytes } = await world()
  const cache = new BlockCache(segments, { blockBytes: 512, cacheBytes: 2_048, readsInFlight: 2 })
  for (const [from, to] of [
    [0, 5_000],
    [511, 513],
    [2_990, 3_010],
    [4_999, 5_000],
    [1_000, 4_500],
  ] as const) {
    const slices = await cache.read(logPosition(from), logPosition(to))
    assert.deepEqual(Buffer.concat(slices), Buffer.from(bytes.subarray(from, to)))
  }
})

void test('readers of the same bytes share one read, at once and later', async () => {
  const { segments } = await world()
  const cache = new BlockCache(segments, { blockBytes: 512, cacheBytes: 8_192, readsInFlight: 2 })
  await Promise.all(Array.from({ length: 8 }, () => cache.read(logPosition(0), logPosition(2_048))))
  assert.equal(cache.diskBytes, 2_048)
  await cache.read(logPosition(100), logPosition(1_900))
  assert.equal(cache.diskBytes, 2_048)
})

void test('a block that was read while the log was shorter is read again when more is wanted', async () => {
  const segments = await Segments.open(new MemoryStorage())
  await segments.roll(logPosition(0))
  await segments.write(logPosition(0), [new Uint8Array(100).fill(1)])
  const cache = new BlockCache(segments, { blockBytes: 512, cacheBytes: 8_192, readsInFlight: 2 })
  await cache.read(logPosition(0), logPosition(100))
  await segments.write(logPosition(100), [new Uint8Array(100).fill(2)])
  const slices = await cache.read(logPosition(50), logPosition(150))
  assert.equal(
    slices.reduce((sum, slice) => sum + slice.length, 0),
    100,
  )
  assert.equal(slices.at(-1)?.at(-1), 2)
})
