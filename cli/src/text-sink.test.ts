import assert from 'node:assert/strict'
import { Writable } from 'node:stream'
import { test } from 'node:test'
import { streamSink } from './text-sink.ts'

/** A stream whose writes wait to be taken. */
function slowStream() {
  const taken: (() => void)[] = []
  const stream = new Writable({
    highWaterMark: 4,
    write: (_chunk, _encoding, done) => void taken.push(() => done()),
  })
  return { stream, taken }
}

void test('a write waits until the reader has taken what was written, however many wait', async () => {
  const { stream, taken } = slowStream()
  const sink = streamSink(stream, () => undefined)
  let settled = 0
  const writes = ['four', 'more', 'last'].map((text) => sink.write(text).then(() => (settled += 1)))
  await new Promise(setImmediate)
  assert.equal(settled, 0)
  while (stream.writableLength > 0) {
    taken.shift()?.()
    await new Promise(setImmediate)
  }
  await Promise.all(writes)
  assert.equal(settled, 3)
})

void test('a flush waits for all that was written, and tells when some of it was not taken', async () => {
  const { stream, taken } = slowStream()
  const sink = streamSink(stream, () => undefined)
  void sink.write('never')
  let isFlushed: boolean | undefined
  const flushed = sink.flush().then((all) => (isFlushed = all))
  await new Promise(setImmediate)
  assert.equal(isFlushed, undefined)
  while (stream.writableLength > 0 || isFlushed === undefined) {
    taken.shift()?.()
    await new Promise(setImmediate)
  }
  assert.equal(await flushed, true)
  void sink.write('more')
  const broken = sink.flush()
  stream.destroy(Object.assign(new Error('broken pipe'), { code: 'EPIPE' }))
  assert.equal(await broken, false)
  assert.equal(await sink.flush(), false)
})

void test('a reader that goes away is told once, and later text is dropped', async () => {
  const { stream } = slowStream()
  const told: unknown[] = []
  const sink = streamSink(stream, (error) => told.push(error))
  const waiting = sink.write('never taken')
  stream.destroy(Object.assign(new Error('broken pipe'), { code: 'EPIPE' }))
  await waiting
  await sink.write('dropped')
  assert.deepEqual(told, [undefined])
})
