// @ts-check
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  checkBundles,
  checkClientDependencies,
  checkLockfile,
  checkRuntimeDependencies,
} from './dependencies.mjs'

/**
 * @param {string} folder
 * @param {string[]} names
 * @param {string[]} [bundled]
 */
function workspace(folder, names, bundled) {
  const dependencies = Object.fromEntries(names.map((name) => [name, '1.0.0']))
  const bundleDependencies = bundled === undefined ? {} : { bundleDependencies: bundled }
  return { folder, references: [], manifest: { name: folder, dependencies, ...bundleDependencies } }
}

const numbered = (/** @type {number} */ count) =>
  Array.from({ length: count }, (_, at) => `lib-${at}`)

void test('fifteen runtime dependencies are allowed, sixteen are not, and workspaces do not count', () => {
  const kit = workspace('kit', [])
  assert.deepEqual(checkRuntimeDependencies([kit, workspace('a', ['kit', ...numbered(15)])]), [])
  const two = [workspace('a', numbered(10)), workspace('b', ['other', ...numbered(15)])]
  assert.match(checkRuntimeDependencies(two).join(), /^16 runtime dependencies/)
})

void test('the client depends on cbor-x and ws and on nothing else', () => {
  const kit = workspace('kit', [])
  assert.deepEqual(checkClientDependencies([kit, workspace('client', ['kit', 'ws', 'cbor-x'])]), [])
  const three = [kit, workspace('client', ['kit', 'ws', 'cbor-x', 'pino'])]
  assert.match(checkClientDependencies(three).join(), /cbor-x, pino, ws/)
  assert.match(checkClientDependencies([workspace('client', ['ws'])]).join(), /depends on ws;/)
  assert.match(checkClientDependencies([]).join(), /missing/)
})

void test('a bundle holds each inner package it needs, directly or through another', () => {
  const inner = [workspace('kit', []), workspace('protocol', ['kit'])]
  const whole = workspace('client', ['protocol'], ['kit', 'protocol'])
  assert.deepEqual(checkBundles([...inner, whole]), [])
  const partial = workspace('client', ['protocol'], ['protocol'])
  assert.match(checkBundles([...inner, partial]).join(), /it needs \[kit,protocol\]/)
})

void test('a bundle lists what the packages inside it need from outside', () => {
  const inner = [workspace('kit', ['ws']), workspace('protocol', ['kit'])]
  const silent = workspace('client', ['protocol'], ['kit', 'protocol'])
  assert.match(checkBundles([...inner, silent]).join(), /must list ws 1\.0\.0: kit does/)
})

void test('a lockfile entry with an address is refused', () => {
  const resolved = `https://registry${'.'}example/ws.tgz`
  assert.equal(checkLockfile({ packages: { 'node_modules/ws': { resolved } } }).length, 1)
  assert.deepEqual(
    checkLockfile({ packages: { 'node_modules/kit': { resolved: 'kit', link: true } } }),
    [],
  )
})

void test('an install script is refused unless its package is optional or for development', () => {
  const packages = (/** @type {object} */ more) => ({
    'node_modules/a': { hasInstallScript: true, ...more },
  })
  assert.equal(checkLockfile({ packages: packages({}) }).length, 1)
  assert.deepEqual(checkLockfile({ packages: packages({ optional: true }) }), [])
  assert.deepEqual(checkLockfile({ packages: packages({ dev: true }) }), [])
})
