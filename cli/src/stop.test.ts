import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Stop } from './stop.ts'

void test('the first signal asks to drain, the second ends at once', () => {
  const exits: number[] = []
  const stop = new Stop((code) => exits.push(code))
  stop.bySignal()
  assert.deepEqual([stop.signal.aborted, stop.reason, exits], [true, 'signal', []])
  stop.bySignal()
  assert.deepEqual(exits, [1])
})

void test('a signal behind a reader that went away still lets the command drain', () => {
  const exits: number[] = []
  const stop = new Stop((code) => exits.push(code))
  stop.byOutput()
  stop.bySignal()
  assert.deepEqual([stop.reason, exits], ['signal', []])
})
