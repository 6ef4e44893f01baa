// @ts-check
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkImports, importsOf, layers } from './layers.mjs'

/** @typedef {import('./layers.mjs').Workspace} Workspace */

const index = { '.': {} }

/** @type {Workspace[]} */
const workspaces = [
  workspace('kit', [], { ...index, './testing': {}, './storage': {} }),
  workspace('protocol', ['kit'], index),
  workspace('transport', ['kit', 'protocol'], index),
  workspace('broker', ['kit', 'protocol', 'transport'], { ...index, './core': {} }),
  workspace('coordinator', ['kit', 'protocol', 'transport'], index),
  workspace('client', ['kit', 'protocol', 'transport'], index),
  workspace('cli', ['kit', 'broker', 'client'], index),
  workspace('e2e', ['kit', 'broker', 'coordinator'], index),
]
const rules = { layers, workspaces, rootManifest: { devDependencies: { 'fast-check': '4.0.0' } } }

/**
 * @param {string} folder
 * @param {string[]} inner
 * @param {Record<string, unknown>} exports
 * @returns {Workspace}
 */
function workspace(folder, inner, exports) {
  const dependencies = Object.fromEntries(inner.map((name) => [`@popmq/${name}`, '*']))
  if (folder === 'transport') dependencies['ws'] = '8.0.0'
  return {
    folder,
    manifest: { name: `@popmq/${folder}`, exports, dependencies },
    references: inner,
  }
}

/** @type {[file: string, code: string, sentence: string][]} */
const refused = [
  ['kit/src/a.ts', "import { x } from '@popmq/protocol'", 'kit may not know protocol'],
  ['protocol/src/a.ts', "import { x } from '@popmq/transport'", 'protocol may not know transport'],
  ['broker/src/core/a.ts', "import { fileStorage } from '@popmq/kit/storage'", 'kit/src/storage'],
  ['broker/src/a.ts', "import { Scheduler } from '@popmq/kit/testing'", 'know kit/src/testing'],
  ['kit/src/index.ts', "export * from './storage/index.ts'", 'kit may not know kit/src/storage'],
  ['broker/src/a.ts', "import { x } from '@popmq/client'", 'broker may not know client'],
  ['broker/src/a.ts', "export * from '@popmq/coordinator'", 'broker may not know coordinator'],
  ['client/src/a.ts', "import type { X } from '@popmq/broker'", 'client may not know broker'],
  ['client/src/a.ts', "const b = await import('@popmq/broker')", 'client may not know broker'],
  ['broker/src/core/a.ts', "import '../handlers/produce.ts'", 'may not know broker/src/handlers'],
  ['broker/src/core/a.ts', "import '../net/connection.ts'", 'may not know broker/src/net'],
  ['broker/src/core/a.ts', "import '../storage/disk.ts'", 'may not know broker/src/storage'],
  ['broker/src/core/a.ts', "import '../broker.ts'", 'may not know broker '],
  ['broker/src/core/a.ts', "import { X } from '@popmq/transport'", 'may not know transport'],
  ['broker/src/storage/a.ts', "import '../net/a.ts'", 'may not know broker/src/net'],
  ['broker/src/handlers/a.ts', "import '../net/a.ts'", 'may not know broker/src/net'],
  ['broker/src/handlers/a.ts', "import { X } from '@popmq/transport'", 'only types from transport'],
  [
    'coordinator/src/core/a.ts',
    "import '../registry/a.ts'",
    'may not know coordinator/src/registry',
  ],
  ['client/src/core/a.ts', "import { X } from '@popmq/transport'", 'only types from transport'],
  ['cli/src/a.ts', "import { X } from '@popmq/e2e'", 'cli may not know e2e'],
  ['cli/src/a.ts', "import { X } from '@popmq/broker/core'", 'cli may not know broker/src/core'],
  ['broker/src/a.ts', "import { x } from '../../kit/src/heap.ts'", 'does not leave its package'],
  ['broker/src/a.ts', "import { x } from '@popmq/broker/core'", 'import by a relative path'],
  [
    'broker/src/a.ts',
    "import { x } from '@popmq/kit/dist/heap.js'",
    'does not export "./dist/heap.js"',
  ],
  [
    'cli/src/a.ts',
    "import { X } from '@popmq/coordinator'",
    'does not list it under "dependencies"',
  ],
  ['cli/src/a.ts', "import { X } from '@popmq/coordinator'", 'does not reference ../coordinator'],
  ['broker/src/a.ts', "import WebSocket from 'ws'", 'does not list ws'],
  ['broker/src/a.ts', "import fc from 'fast-check'", 'does not list fast-check'],
  ['broker/src/a.ts', "import { join } from 'path'", 'write node:path'],
  ['scripts/a.mjs', "import fc from 'fast-check'", 'scripts use Node alone'],
  ['elsewhere/src/a.ts', "import './b.ts'", 'no layer holds elsewhere/src/a.ts'],
]

/** @type {[file: string, code: string][]} */
const accepted = [
  ['protocol/src/a.ts', "import { x } from '@popmq/kit'"],
  ['kit/src/a.test.ts', "import { x } from './testing/index.ts'"],
  ['broker/src/core/a.ts', "import { x } from '../core/b.ts'"],
  ['broker/src/core/a.test.ts', "import { SeededRandom } from '@popmq/kit/testing'"],
  ['broker/src/core/a.test.ts', "import fc from 'fast-check'"],
  ['broker/src/storage/a.ts', "import type { Storage } from '../core/storage.ts'"],
  ['broker/src/main.ts', "import { fileStorage } from '@popmq/kit/storage'"],
  ['broker/src/core/a.ts', "import type { Storage } from '@popmq/kit'"],
  ['broker/src/net/a.ts', "import { handle } from '../handlers/produce.ts'"],
  ['broker/src/broker.ts', "import './net/a.ts'\nimport './storage/b.ts'"],
  ['broker/src/handlers/a.ts', "import type { Call } from '@popmq/transport'"],
  ['client/src/core/a.ts', "import type { Call } from '@popmq/transport'"],
  ['transport/src/a.ts', "import { WebSocket } from 'ws'\nimport { once } from 'node:events'"],
  ['e2e/src/simulation/a.ts', "import { Log } from '@popmq/broker/core'"],
  ['kit/src/a.ts', "// import { x } from '@popmq/broker'\nconst text = `import '@popmq/broker'`"],
]

for (const [path, text, sentence] of refused) {
  void test(`${path} is refused: ${text} (${sentence})`, () => {
    const problems = checkImports({ path, text }, rules)
    assert.ok(
      problems.some((problem) => problem.includes(sentence)),
      `expected "${sentence}" among ${JSON.stringify(problems)}`,
    )
  })
}

for (const [path, text] of accepted) {
  void test(`${path} is accepted: ${text.replaceAll('\n', '; ')}`, () => {
    assert.deepEqual(checkImports({ path, text }, rules), [])
  })
}

void test('imports of each form are found, with their lines', () => {
  const text = [
    'import {',
    '  a,',
    "} from './a.ts'",
    "import type { B } from './b.ts'",
    "import * as c from './c.ts'",
    "export { d } from './d.ts'",
    "import './e.ts'",
    "const quote = /'/; const f = await import('./f.ts')",
    "const g = `${await import('./g.ts')}`",
  ].join('\n')
  const found = importsOf(text).toSorted((x, y) => x.line - y.line)
  assert.deepEqual(
    found.map(({ specifier, line }) => [specifier, line]),
    [
      ['./a.ts', 1],
      ['./b.ts', 4],
      ['./c.ts', 5],
      ['./d.ts', 6],
      ['./e.ts', 7],
      ['./f.ts', 8],
      ['./g.ts', 9],
    ],
  )
  assert.deepEqual(
    found.filter(({ typeOnly }) => typeOnly).map(({ specifier }) => specifier),
    ['./b.ts'],
  )
})
