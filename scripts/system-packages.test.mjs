// @ts-check
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { missingPackages } from './system-packages.mjs'

const tools = [
  { tool: 'strace', debianPackage: 'strace' },
  { tool: 'mount', debianPackage: 'mount' },
  { tool: 'losetup', debianPackage: 'mount' },
]

void test('a package is missing once, however many of its tools are', () => {
  assert.deepEqual(
    missingPackages(tools, (tool) => tool === 'strace'),
    ['mount'],
  )
})

void test('nothing is missing where every tool is found', () => {
  assert.deepEqual(
    missingPackages(tools, () => true),
    [],
  )
})

void test('tools are looked for on the path', () => {
  const nowhere = { tool: 'no-such-tool-anywhere', debianPackage: 'nothing' }
  assert.deepEqual(missingPackages([nowhere]), ['nothing'])
  assert.deepEqual(missingPackages([{ tool: 'node', debianPackage: 'nodejs' }]), [])
})
