// @ts-check
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { readCounts, readTap } from './tap.mjs'

const start = "import { test } from 'node:test'\n"

/**
 * Runs test files with these contents by node:test.
 * @param {Record<string, string>} files
 */
function tapOf(files) {
  const folder = mkdtempSync(path.join(tmpdir(), 'popmq-tap-test-'))
  const paths = Object.entries(files).map(([name, text]) => {
    const file = path.join(folder, name)
    writeFileSync(file, text)
    return file
  })
  // Inside a test run, node:test would report to its parent instead of writing TAP.
  const { NODE_TEST_CONTEXT: _, ...env } = process.env
  const args = ['--test', '--test-reporter=tap', ...paths]
  const { stdout } = spawnSync(process.execPath, args, { encoding: 'utf8', env })
  rmSync(folder, { recursive: true })
  return readTap(stdout)
}

void test('passed and failed tests are counted over files', () => {
  const summary = tapOf({
    'a.test.mjs': `${start}test('one', () => {})\ntest('two', () => { throw new Error('no') })`,
    'b.test.mjs': `${start}test('three', () => {})`,
  })
  assert.deepEqual(summary, { passed: 2, failed: 1, skipped: 0, notRun: [], hollow: [] })
})

void test('a test file without a test is a failure', () => {
  const { passed, failed, hollow } = tapOf({
    'a.test.mjs': 'export {}',
    'b.test.mjs': `${start}test('one', () => {})`,
  })
  assert.deepEqual({ passed, failed, hollow: hollow.length }, { passed: 1, failed: 1, hollow: 1 })
})

void test('a test file that cannot be loaded is a failure', () => {
  const { failed } = tapOf({ 'a.test.mjs': "import './gone.mjs'" })
  assert.equal(failed, 1)
})

void test('a skipped test is counted and its reason kept', () => {
  const { passed, skipped, notRun } = tapOf({
    'a.test.mjs': `${start}test('power cut', (t) => t.skip('Not run on this machine: cannot mount'))`,
  })
  assert.deepEqual({ passed, skipped }, { passed: 0, skipped: 1 })
  assert.deepEqual(notRun, ['Not run on this machine: power cut: cannot mount'])
})

void test('what a test prints as not run is counted once', () => {
  const { passed, skipped, notRun } = tapOf({
    'a.test.mjs': `${start}test('one', (t) => { console.log('Not run on this machine: no peers') })
      test('two', (t) => {
        console.log('Not run on this machine: cannot mount')
        t.skip('Not run on this machine: cannot mount')
      })`,
  })
  assert.deepEqual({ passed, skipped }, { passed: 1, skipped: 2 })
  assert.deepEqual(notRun.toSorted(), [
    'Not run on this machine: no peers',
    'Not run on this machine: two: cannot mount',
  ])
})

void test('an empty report counts nothing', () => {
  assert.deepEqual(readTap(''), { passed: 0, failed: 0, skipped: 0, notRun: [], hollow: [] })
})

void test('the last line of counts is read, whatever stands around it', () => {
  const output = 'seed 1: 3 passed\n300 seeds: 299 passed, 1 failed (replay: --seed 7)\n\n'
  assert.deepEqual(readCounts(output), { passed: 299, failed: 1, skipped: 0 })
  assert.deepEqual(readCounts('2 passed, 0 failed, 4 skipped'), {
    passed: 2,
    failed: 0,
    skipped: 4,
  })
  assert.equal(readCounts('done\n'), undefined)
})
