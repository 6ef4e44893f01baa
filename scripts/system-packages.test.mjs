// @ts-check
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { missingPackages } from './system-packages.mjs'

const tools = [
  { tool: 'strace', debianPackage: 'strace' },
  { tool: 'mount', debianPackage: 'mount' },
  { tool: 'losetup', debianPackage: 'mount' },
]

void test('a package is missing once, however many of its tools are', () => {
  assert.deepEqual(
    missingPackages(tools, (need) => 'tool' in need && need.tool === 'strace'),
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

void test('a file is looked for where its package puts it', () => {
  const here = fileURLToPath(import.meta.url)
  assert.deepEqual(missingPackages([{ file: here, debianPackage: 'this' }]), [])
  assert.deepEqual(missingPackages([{ file: `${here}.gone`, debianPackage: 'this' }]), ['this'])
})
