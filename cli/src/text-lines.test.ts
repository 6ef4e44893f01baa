import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isMqError } from '@popmq/protocol'
import fc from 'fast-check'
import { readLines, type TextLine } from './text-lines.ts'

async function* chunksOf(bytes: Uint8Array, sizes: readonly number[]): AsyncGenerator<Uint8Array> {
  let at = 0
  for (const size of sizes) {
    yield bytes.subarray(at, at + size)
    at += size
  }
  yield await Promise.resolve(bytes.subarray(at))
}

async function linesOf(
  text: string | Uint8Array,
  sizes: readonly number[] = [],
  most = 1_000,
): Promise<TextLine[]> {
  const bytes = typeof text === 'string' ? new TextEncoder().encode(text) : text
  const found = []
  for await (const { lines } of readLines(chunksOf(bytes, sizes), most)) found.push(...lines)
  return found
}

void test('lines come out the same however the bytes are cut', async () => {
  const line = fc
    .string({ unit: 'grapheme', maxLength: 20 })
    .map((text) => text.replaceAll(/\s/g, '_'))
  const sizes = fc.array(fc.nat(30), { maxLength: 20 })
  await fc.assert(
    fc.asyncProperty(fc.array(line), sizes, async (texts, cuts) => {
      const expected = texts.flatMap((text, index) =>
        text === '' ? [] : [{ number: index + 1, text }],
      )
      assert.deepEqual(await linesOf(texts.join('\n'), cuts), expected)
      assert.deepEqual(await linesOf(`${texts.join('\r\n')}\r\n`, cuts), expected)
    }),
  )
})

void test('empty lines are left out and counted', async () => {
  assert.deepEqual(await linesOf('\n\na\n \nb'), [
    { number: 3, text: 'a' },
    { number: 5, text: 'b' },
  ])
})

void test('the lines before a bad one come out, then an error names it', async () => {
  const bytes = Uint8Array.of(0x61, 0x0a, 0xff, 0x0a, 0x62)
  const found: TextLine[] = []
  await assert.rejects(
    async () => {
      for await (const { lines } of readLines(chunksOf(bytes, []), 100)) found.push(...lines)
    },
    (error) => isMqError(error, 'invalid_request') && error.message.includes('line 2 is not UTF-8'),
  )
  assert.deepEqual(found, [{ number: 1, text: 'a' }])
})

void test('a line that is too long is refused before it is held', async () => {
  await assert.rejects(
    linesOf(`ok\n${'x'.repeat(200)}`, [50, 50, 50], 100),
    /line 2 is longer than 100 bytes/,
  )
})
