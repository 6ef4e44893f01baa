import assert from 'node:assert/strict'
import { test } from 'node:test'
import { logPosition, partitionKey, partitionNumber, topicId } from '@popmq/protocol'
import fc from 'fast-check'
import { PageCache } from './page-cache.ts'
import { nowhere, PageDirectory } from './page-directory.ts'
import { Page } from './page.ts'

const key = partitionKey(topicId(1), partitionNumber(0))
const entry = { length: 100, flags: 0, kind: 1, attempt: 0, tagHash: 0, keyHash: 0 }

void test('a page begins with 1 KiB and grows to 4 KiB, and its entries stay', () => {
  const page = new Page(key, 0)
  for (let index = 0; index < 127; index += 1) {
    page.put(index, { ...entry, position: logPosition(index * 100), appendedAt: index * 2 })
    if (index === 30) assert.equal(page.bytes.length, 1_024)
    if (index === 31) assert.equal(page.bytes.length, 2_048)
  }
  assert.equal(page.bytes.length, 4_096)
  for (let index = 0; index < 127; index += 1) assert.equal(page.positionAt(index), index * 100)
  for (let timeMs = -1; timeMs < 255; timeMs += 1) {
    assert.equal(page.firstSince(timeMs, 0, 127), Math.max(0, Math.ceil(timeMs / 2)))
  }
})

void test('the directory keeps what it is told of the pages that are left', () => {
  const steps = fc.array(
    fc.oneof(fc.record({ drop: fc.nat(6) }), fc.record({ spans: fc.nat(3) })),
    { maxLength: 200 },
  )
  fc.assert(
    fc.property(steps, (taken) => {
      const directory = new PageDirectory(5)
      const model: { readonly page: number; readonly spans: number[] }[] = []
      const gone: unknown[] = []
      const expectedGone: unknown[] = []
      let first = 5
      for (const step of taken) {
        if ('drop' in step) {
          const below = Math.min(directory.end, first + step.drop)
          expectedGone.push(...model.splice(0, below - first).map(({ spans }) => spans))
          directory.dropBelow(below, (spans) => gone.push([...spans]))
          first = below
        } else {
          const page = directory.end
          const spans = [0, 1, 2, 3]
            .slice(0, step.spans + 1)
            .flatMap((segment) => [segment, page * 10 + segment])
          directory.push(page * 7, spans)
          directory.place(page, page % 2 === 0 ? page * 3 : nowhere)
          model.push({ page, spans })
        }
      }
      assert.deepEqual(gone, expectedGone)
      assert.deepEqual([directory.first, directory.end], [first, first + model.length])
      for (const { page, spans } of model) {
        assert.deepEqual(directory.spans(page), spans)
        assert.equal(
          directory.bytes(page),
          spans.filter((_, index) => index % 2 === 1).reduce((sum, bytes) => sum + bytes, 0),
        )
        assert.equal(directory.firstTime(page), page * 7)
        assert.equal(directory.location(page), page % 2 === 0 ? page * 3 : nowhere)
      }
    }),
  )
})

void test('the cache lets the page go that was used longest ago', () => {
  const cache = new PageCache(2 * 4_096)
  for (const location of [1, 2]) cache.put(location, new Page(key, location))
  cache.get(1)
  cache.put(3, new Page(key, 3))
  assert.deepEqual(
    [1, 2, 3].map((location) => cache.get(location)?.number),
    [1, undefined, 3],
  )
})

void test('a page that could not be read is read again by the next who asks', async () => {
  const cache = new PageCache(4_096)
  const fails = () => Promise.reject(new Error('no such luck'))
  const both = await Promise.allSettled([cache.load(1, fails), cache.load(1, fails)])
  assert.deepEqual(
    both.map(({ status }) => status),
    ['rejected', 'rejected'],
  )
  assert.equal(cache.reads, 1)
  const page = await cache.load(1, () => Promise.resolve(new Page(key, 9)))
  assert.equal(page.number, 9)
})
