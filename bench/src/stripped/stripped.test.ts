import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { measure } from '../measure.ts'
import { openStrippedPath } from '../stripped-path.ts'
import { AppendFile } from './append-file.ts'
import { PartitionIndex } from './partition-index.ts'
import { readHeader, writeHeader } from './wire.ts'

const folder = mkdtempSync(path.join(tmpdir(), 'popmq-stripped-'))
test.after(() => rmSync(folder, { recursive: true }))

void test('a header is read back', () => {
  const header = {
    kind: 2,
    partition: 7,
    run: 300,
    correlationId: 4_000_000_000,
    offset: 3_000_000_000,
    count: 9,
  }
  assert.deepEqual(readHeader(writeHeader(Buffer.alloc(16), header)), header)
})

void test('what is appended is on disk when it says so, across chunks, and is read back from memory and from disk', async () => {
  const file = path.join(folder, 'appended')
  const log = new AppendFile(file)
  const pieceBytes = 5 * 1_048_576 + 3
  const places = []
  for (let count = 0; count < 60; count += 1) {
    const { position } = log.append(Buffer.alloc(pieceBytes, count))
    places.push(position)
    await new Promise<void>((resolve) => log.whenSynced(resolve))
    assert.equal(log.synced, position + pieceBytes)
  }
  assert.deepEqual(
    places,
    Array.from({ length: 60 }, (_, count) => count * pieceBytes),
  )
  const written = readFileSync(file)
  for (const [count, position] of places.entries()) {
    const expected = Buffer.alloc(pieceBytes, count)
    assert.ok(
      written.subarray(position, position + pieceBytes).equals(expected),
      `piece ${count} on disk`,
    )
    assert.ok(log.read(position, pieceBytes).equals(expected), `piece ${count} read`)
  }
  log.close()
})

void test('records that follow one another are one piece; nothing above the end is given', () => {
  const index = new PartitionIndex()
  for (let count = 0; count < 70_000; count += 1)
    index.add(count < 10 ? count * 10 : 1_000 + count * 10, 10)
  const of = (offset: number, range: { end: number; mostBytes: number }) =>
    index.pieces(offset, range)
  assert.deepEqual(of(8, { end: 1_110, mostBytes: 1_000 }), {
    pieces: [
      { position: 80, length: 20 },
      { position: 1_100, length: 10 },
    ],
    next: 11,
  })
  assert.deepEqual(of(11, { end: 1_115, mostBytes: 1_000 }), { pieces: [], next: 11 })
  assert.deepEqual(of(0, { end: 1e9, mostBytes: 25 }), {
    pieces: [{ position: 0, length: 30 }],
    next: 3,
  })
  assert.equal(of(69_999, { end: 1e9, mostBytes: 1 }).next, 70_000)
})

void test('the stripped path carries every message, verified, end to end', async () => {
  const settings = {
    workload: 'end-to-end',
    sizeBytes: 20,
    batch: 70,
    acks: 'disk',
    messages: 5_000,
    runs: 2,
    keyed: false,
  } as const
  const stripped = await openStrippedPath(folder, () => [])
  try {
    for (const run of [0, 1]) {
      const { path: name, messagesPerSecond } = await measure(stripped, run, settings)
      assert.equal(name, 'stripped')
      assert.ok(messagesPerSecond > 0)
    }
  } finally {
    await stripped.close()
  }
})
