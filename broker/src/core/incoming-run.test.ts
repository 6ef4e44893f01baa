import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crc32 } from '@popmq/kit/checksum'
import {
  type ErrorName,
  limits,
  type MessageSections,
  MqError,
  partitionKey,
  partitionNumber,
  recordFields,
  type RecordKind,
  topicId,
} from '@popmq/protocol'
import { type IncomingRun, type RunIdentity, verifyRun } from './incoming-run.ts'
import { sampleRun } from './testing/sample-run.ts'

const nowMs = 1_700_000_000_000
const key = partitionKey(topicId(1), partitionNumber(0))

function runOf(kind: RecordKind, ...sections: MessageSections[]): IncomingRun {
  const bytes = sampleRun({
    kind,
    values: sections.map(() => 'x'),
    sections: (at) => sections[at] ?? {},
  })
  const place = { key, topicId: topicId(1), partition: partitionNumber(0) }
  return { ...place, count: sections.length, bytes, maxMessageBytes: 100 }
}

function verdict(run: IncomingRun): RunIdentity | ErrorName {
  const found = verifyRun(run, { crc32, nowMs })
  return found instanceof MqError ? found.name : found
}

function isDelayed(run: IncomingRun): boolean | ErrorName {
  const found = verdict(run)
  return typeof found === 'string' ? found : found.isDelayed
}

void test('a run is of messages, without a delay, or of delayed ones, each with one', () => {
  assert.equal(isDelayed(runOf('message', {}, { tag: 't' })), false)
  assert.equal(isDelayed(runOf('delayed', { delayMs: 1 }, { deliverAt: 1, dedupId: 'd' })), true)
  assert.equal(isDelayed(runOf('message', { delayMs: 1 })), 'corrupt_record')
  assert.equal(isDelayed(runOf('message', { deliverAt: 1 })), 'corrupt_record')
  assert.equal(isDelayed(runOf('delayed', {})), 'corrupt_record')
  assert.equal(isDelayed(runOf('delayed', { delayMs: 1, deliverAt: 1 })), 'corrupt_record')
  assert.equal(isDelayed(runOf('delayed', { delayMs: 1 }, {})), 'corrupt_record')
})

void test('messages and delayed ones are not mixed in one run', () => {
  const both = runOf('delayed', { delayMs: 1 }, { delayMs: 1 })
  const message = runOf('message', {}, {})
  const half = both.bytes.subarray(0, both.bytes.length / 2)
  const other = message.bytes.subarray(message.bytes.length / 2)
  const bytes = Uint8Array.from([...half, ...other])
  assert.equal(isDelayed({ ...both, bytes }), 'corrupt_record')
})

void test('what only the broker makes is refused', () => {
  const source = new Uint8Array(56)
  const history = new Uint8Array(4)
  assert.equal(isDelayed(runOf('message', { source })), 'corrupt_record')
  assert.equal(isDelayed(runOf('delayed', { delayMs: 1, source })), 'corrupt_record')
  assert.equal(isDelayed(runOf('message', { history })), 'corrupt_record')
  for (const kind of ['retry', 'dead', 'horizon', 'hold_changed'] as const)
    assert.equal(isDelayed(runOf(kind, { deliverAt: 1 })), 'corrupt_record')
})

void test('a delay of a year is taken, a longer one refused; a time that is past is fine', () => {
  const most = limits.delayMs
  assert.equal(isDelayed(runOf('delayed', { delayMs: most }, { deliverAt: nowMs + most })), true)
  assert.equal(isDelayed(runOf('delayed', { delayMs: 0 }, { deliverAt: 0 })), true)
  assert.equal(isDelayed(runOf('delayed', { deliverAt: nowMs + most + 1 })), 'invalid_request')
  const run = runOf('delayed', { tag: 't', delayMs: most })
  // A client of another make may write any 64 bits there.
  for (const high of [0x10_0000, 0xffff_ffff]) {
    const bytes = Uint8Array.from(run.bytes)
    const view = new DataView(bytes.buffer)
    view.setUint32(bytes.length - 1 - 4, high, true)
    view.setUint32(recordFields.crc, crc32(bytes, recordFields.topicId, bytes.length), true)
    assert.equal(isDelayed({ ...run, bytes }), 'invalid_request')
  }
})
