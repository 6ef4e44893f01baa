import assert from 'node:assert/strict'
import { test } from 'node:test'
import { plantNamed, plants } from './plants/index.ts'
import { runSeed } from './seed-run.ts'

void test('a seed runs the same each time, and another seed does not', async () => {
  const first = await runSeed(4)
  const again = await runSeed(4)
  assert.deepEqual(again, first)
  assert.deepEqual(first.violations, [])
  assert.notEqual((await runSeed(7)).hash, first.hash)
})

void test('a planted bug below the broker is found and named', async () => {
  const plant = plantNamed('sync-does-nothing')
  const { violations } = await runSeed(1, { plant })
  assert.notDeepEqual(violations, [])
  assert.equal(new Set(plants.map(({ name }) => name)).size, plants.length)
})
