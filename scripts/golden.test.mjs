// @ts-check
/** docs/protocol.md and docs/disk-format.md give the bytes and the numbers that the code has. Needs a build. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { root } from './child.mjs'

/** @typedef {readonly (readonly [hex: string, says: string])[]} GoldenRows */
/** @typedef {{ golden: Record<string, GoldenRows>, hexOf: (rows: GoldenRows) => string }} Fixture */
/** @typedef {{ type: number, name: string, request: unknown, reply: unknown }} Exchange */
/** @typedef {Record<string, unknown> & { limits: Record<string, number>, recordKinds: Record<string, number>, flags: Record<string, number>, marks: Record<string, number>, errorTable: Record<string, { mend: string }> }} Protocol */

/** @type {Record<string, string>} fixture by the name that a document uses for it */
const fixtures = {
  protocol: 'protocol/dist/golden.js',
  'consume-queue': 'broker/dist/core/consume-queue/golden.js',
}
const normative = ['docs/protocol.md', 'docs/disk-format.md'].map(readDocument).join('\n')

/** @param {string} file */
function readDocument(file) {
  return readFileSync(path.join(root, file), 'utf8')
}

/** @param {string} file */
function load(file) {
  return import(path.join(root, file))
}

/** @returns {Promise<Protocol>} */
function loadProtocol() {
  return load('protocol/dist/index.js')
}

/**
 * Reads the fenced blocks of the kind "golden FIXTURE NAME". Of each line the hex counts: it ends before two blanks, and
 * "00 × 36" stands for 36 zero bytes.
 * @param {string} text
 * @returns {Map<string, string>} hex by fixture and name
 */
function quotedBytes(text) {
  /** @type {Map<string, string>} */
  const quoted = new Map()
  for (const [, name = '', block = ''] of text.matchAll(
    /^```golden ([\w-]+ \w+)\n([\s\S]*?)^```$/gm,
  )) {
    assert.ok(!quoted.has(name), `${name} is quoted once`)
    quoted.set(name, block.trimEnd().split('\n').map(hexOfLine).join(''))
  }
  return quoted
}

/** @param {string} line */
function hexOfLine(line) {
  const [hex = ''] = line.split(/ {2,}/)
  const plain = hex.replaceAll(/([0-9a-f]{2}) × (\d+)/g, (_, byte, times) => byte.repeat(+times))
  const bytes = plain.replaceAll(' ', '')
  assert.match(bytes, /^(?:[0-9a-f]{2})+$/, `a line begins with hex: ${line}`)
  return bytes
}

/**
 * Reads the table rows that begin with a name and a number: | `name` | 32 | …
 * @param {string} heading of the section that holds the table
 */
function numbersUnder(heading) {
  const section = normative.split(/^#+ /m).find((part) => part.startsWith(`${heading}\n`)) ?? ''
  const rows = [...section.matchAll(/^\|\s*`(\w+)`\s*\|\s*([\d,]+)\s*\|/gm)]
  return Object.fromEntries(
    rows.map(([, name, number = '']) => [name, +number.replaceAll(',', '')]),
  )
}

void test('the documents quote the bytes of every golden fixture, and no others', async () => {
  /** @type {Map<string, string>} */
  const wanted = new Map()
  for (const [of, file] of Object.entries(fixtures)) {
    /** @type {Fixture} */
    const { golden, hexOf } = await load(file)
    for (const [name, rows] of Object.entries(golden)) wanted.set(`${of} ${name}`, hexOf(rows))
  }
  assert.deepEqual(Object.fromEntries(quotedBytes(normative)), Object.fromEntries(wanted))
})

void test('docs/protocol.md has every exchange under its name and number', async () => {
  const exported = Object.values(await loadProtocol())
  const exchanges = exported.filter(isExchange).map(({ name, type }) => `${name} ${type}`)
  const headings = [...normative.matchAll(/^### `(\w+)` · (\d+)$/gm)].map(
    ([, name, type]) => `${name} ${type}`,
  )
  assert.ok(exchanges.length > 5, 'the exchanges are read')
  assert.deepEqual(new Set(headings), new Set(exchanges))
  assert.equal(headings.length, exchanges.length)
})

void test('limits, kinds, marks and flags have the numbers of the code', async () => {
  const { limits, recordKinds, marks, flags } = await loadProtocol()
  assert.deepEqual(numbersUnder('Limits'), { ...limits })
  assert.deepEqual(numbersUnder('Kinds'), { ...recordKinds })
  assert.deepEqual(numbersUnder('Marks'), { ...marks })
  assert.deepEqual(numbersUnder('Flags'), { ...flags })
})

void test('docs/errors.md tells how to mend each error', async () => {
  const { errorTable } = await loadProtocol()
  const rows = readDocument('docs/errors.md').split('\n')
  const silent = Object.entries(errorTable).filter(
    ([name, { mend }]) =>
      !rows.some((row) => row.startsWith(`| \`${name}\` |`) && row.includes(mend)),
  )
  assert.deepEqual(silent, [])
})

void test('bytes are read from a block line by line', () => {
  const text = '```golden a b_c\n00 × 3 01  three zeros\nff\n```\n'
  assert.deepEqual([...quotedBytes(text)], [['a b_c', '00000001ff']])
})

/**
 * @param {unknown} value
 * @returns {value is Exchange}
 */
function isExchange(value) {
  return typeof value === 'object' && value !== null && 'type' in value && 'request' in value
}
