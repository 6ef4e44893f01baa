// @ts-check
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { findOrphans } from './orphans.mjs'

void test('built files whose source is gone are found, the others are not', () => {
  const root = mkdtempSync(path.join(tmpdir(), 'popmq-orphans-'))
  const write = (/** @type {string} */ file) => {
    mkdirSync(path.dirname(path.join(root, file)), { recursive: true })
    writeFileSync(path.join(root, file), '')
  }
  writeFileSync(path.join(root, 'package.json'), '{ "workspaces": ["kit", "unbuilt"] }')
  const kept = [
    'kit/src/heap.ts',
    'kit/dist/heap.js',
    'kit/dist/heap.d.ts.map',
    'kit/dist/.tsbuildinfo',
  ]
  const gone = ['kit/dist/core/old.test.js', 'kit/dist/core/old.test.js.map', 'kit/dist/ring.d.ts']
  for (const file of [...kept, ...gone]) write(file)
  assert.deepEqual(findOrphans(root).toSorted(), gone.toSorted())
  rmSync(root, { recursive: true })
})
