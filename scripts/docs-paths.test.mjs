// @ts-check
/** What documents name is there: files, functions, links, and the README's example. Needs no build. */
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { root } from './child.mjs'
import { readRepository } from './tidy/repository.mjs'

/** @typedef {{ path: string, text: string }} Document */

/** @type {Document[]} */
const documents = readRepository(root).filter((file) => file.path.endsWith('.md'))
const workspaces = 'kit|protocol|transport|broker|coordinator|client|cli|bench|e2e'
/** From the top of the repository, or from the folder of a package's README. */
const fromTop = new RegExp(`^(?:${workspaces}|gateway|dashboard|scripts|docs)/[\\w./-]*$`)
const fromPackage = /^src\/[\w./-]*$/

/**
 * @param {Document} document
 * @returns {string[]} what stands in backticks and is a path of the repository, from its top
 */
function namedPaths({ path: file, text }) {
  const spans = [...prose(text).matchAll(/`([^`\n]+)`/g)].map((match) => match[1] ?? '')
  return spans.flatMap((span) => {
    if (fromTop.test(span)) return [span]
    return fromPackage.test(span) ? [path.posix.join(path.posix.dirname(file), span)] : []
  })
}

/**
 * @param {string} text
 * @returns {{ file: string, names: string[] }[]} of each table row that begins with a file: the names in its second cell
 */
function namedParts(text) {
  return [...prose(text).matchAll(/^\|\s*`([^`|]+)`\s*\|([^|\n]*)\|/gm)]
    .filter(([, file = '']) => fromTop.test(file) && !file.endsWith('/'))
    .map(([, file = '', names = '']) => ({
      file,
      names: [...names.matchAll(/`([^`]+)`/g)].map((match) => match[1] ?? ''),
    }))
}

/** @param {string} text a document without its fenced blocks */
function prose(text) {
  return text.replaceAll(/^```[\s\S]*?^```$/gm, '')
}

/**
 * @param {string} text of a source file
 * @param {string} name an identifier, private ones with their #
 */
function hasName(text, name) {
  return new RegExp(`(?<![\\w#])${name}(?!\\w)`).test(text)
}

void test('every path that a document names exists', () => {
  const named = documents.flatMap((document) =>
    namedPaths(document).map((name) => ({ in: document.path, name })),
  )
  assert.ok(named.length > 50, `only ${named.length} paths were found`)
  assert.deepEqual(
    named.filter(({ name }) => !existsSync(path.join(root, name))),
    [],
  )
})

void test('every function that a row of a document names is in the file of that row', () => {
  const parts = documents.flatMap((document) =>
    namedParts(document.text).map((part) => ({ in: document.path, ...part })),
  )
  assert.ok(parts.length > 20, `only ${parts.length} rows were found`)
  const missing = parts.flatMap(({ in: document, file, names }) => {
    const source = existsSync(path.join(root, file))
      ? readFileSync(path.join(root, file), 'utf8')
      : ''
    return names
      .filter((name) => !hasName(source, name))
      .map((name) => `${document}: ${file} ${name}`)
  })
  assert.deepEqual(missing, [])
})

void test('every link between documents leads somewhere', () => {
  const broken = documents.flatMap(({ path: file, text }) =>
    [...prose(text).matchAll(/\]\((?!https?:|#)([^)#\s]+)/g)]
      .map((match) => path.posix.join(path.posix.dirname(file), match[1] ?? ''))
      .filter((target) => !existsSync(path.join(root, target)))
      .map((target) => `${file}: ${target}`),
  )
  assert.deepEqual(broken, [])
})

void test('the README shows the programs of docs/examples as they are', () => {
  const readme = readFileSync(path.join(root, 'README.md'), 'utf8')
  const shown = [...readme.matchAll(/^```js\n([\s\S]*?)^```$/gm)].map((match) => match[1])
  const examples = readdirSync(path.join(root, 'docs/examples'))
  assert.ok(examples.length > 0)
  for (const name of examples) {
    const text = readFileSync(path.join(root, 'docs/examples', name), 'utf8')
    assert.ok(shown.includes(text), `README.md does not show docs/examples/${name}`)
  }
})

void test('the README of a package has at most 40 lines', () => {
  const readmes = workspaces.split('|').map((name) => `${name}/README.md`)
  const long = readmes.filter((name) => {
    const lines = readFileSync(path.join(root, name), 'utf8').trimEnd().split('\n')
    return lines.length > 40
  })
  assert.deepEqual(long, [])
})

void test('paths and names are read from a document, fenced blocks left out', () => {
  const text =
    'see `kit/src/x.ts`, `log/1.log`, `src/core`\n```\n`kit/none.ts`\n```\n' +
    '| `cli/src/y.ts` | `run` then `#go` | why |\n| `other` | `no` |\n| `cli/` | `no` |\n'
  assert.deepEqual(namedPaths({ path: 'broker/README.md', text }), [
    'kit/src/x.ts',
    'broker/src/core',
    'cli/src/y.ts',
    'cli/',
  ])
  assert.deepEqual(namedParts(text), [{ file: 'cli/src/y.ts', names: ['run', '#go'] }])
  assert.ok(hasName('async #go(): void', '#go') && !hasName('async #gone()', '#go'))
  assert.ok(hasName('export function run()', 'run') && !hasName('runner()', 'run'))
})
