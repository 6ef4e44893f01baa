import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemRandom } from './random.ts'

void test('short fills give what no other one gave, and fill all of their target', () => {
  const seen = new Set<string>()
  const bytes: number[] = []
  for (let count = 0; count < 5_000; count += 1) {
    const filled = systemRandom.fill(new Uint8Array(6))
    seen.add(filled.join('.'))
    bytes.push(...filled)
  }
  // Two of 5,000 fills of 48 bits are alike once in ten million runs of this test.
  assert.equal(seen.size, 5_000)
  assert.equal(new Set(bytes).size, 256)
  assert.ok(systemRandom.fill(new Uint8Array(1_000)).some((byte) => byte !== 0))
})
