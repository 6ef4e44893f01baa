// @ts-check
/** docs/errors.md lists exactly the errors that protocol/src/errors.ts defines. Needs a build. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { root } from './child.mjs'

/** @typedef {Record<string, { number: number, retriable: string }>} ErrorTable */

/**
 * Reads the table rows that begin with an error's name and its number: | `name` | 1234 | …
 * @param {string} text
 * @returns {string[]} `name number retriable`, in the order of the document
 */
function documentedErrors(text) {
  return [...text.matchAll(/^\|\s*`([a-z_]+)`\s*\|\s*(\d+)\s*\|\s*`?(\w+)`?\s*\|/gm)].map((row) =>
    row.slice(1, 4).join(' '),
  )
}

/** @param {ErrorTable} errorTable */
function definedErrors(errorTable) {
  return Object.entries(errorTable).map(
    ([name, { number, retriable }]) => `${name} ${number} ${retriable}`,
  )
}

void test('docs/errors.md lists exactly the errors of the error table', async () => {
  /** @type {{ errorTable: ErrorTable }} */
  const { errorTable } = await import(path.join(root, 'protocol/dist/index.js'))
  const documented = documentedErrors(readFileSync(path.join(root, 'docs/errors.md'), 'utf8'))
  const defined = definedErrors(errorTable)
  assert.ok(defined.length > 10, 'the error table is read')
  assert.deepEqual(
    {
      missing: defined.filter((error) => !documented.includes(error)),
      unknown: documented.filter((error) => !defined.includes(error)),
      twice: documented.filter((error, at) => documented.indexOf(error) !== at),
    },
    { missing: [], unknown: [], twice: [] },
  )
})

void test('each number in the error table is used once', async () => {
  /** @type {{ errorTable: ErrorTable }} */
  const { errorTable } = await import(path.join(root, 'protocol/dist/index.js'))
  const numbers = Object.values(errorTable).map(({ number }) => number)
  assert.equal(new Set(numbers).size, numbers.length)
})

void test('a row of a document is read by its name, number and retriability', () => {
  const text =
    '| name | number | retriable |\n|---|---|---|\n| `a_b` | 12 | yes | mend |\n| `c` | 3 | `no` |\n'
  assert.deepEqual(documentedErrors(text), ['a_b 12 yes', 'c 3 no'])
})
