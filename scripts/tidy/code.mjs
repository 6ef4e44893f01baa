// @ts-check
/** Rules about what a source file says: words, types, tests, the clock in cores. */
import { lineAt, readSource } from './source-text.mjs'

/** @typedef {{ path: string, text: string }} SourceFile */
/**
 * @typedef {object} Rule
 * @property {string} name
 * @property {RegExp} pattern
 * @property {'text' | 'bare'} reads
 * @property {RegExp} [unless] what, at the same place with its strings, is no violation
 * @property {(path: string) => boolean} [only] where it holds; everywhere if absent
 * @property {string} mend
 */

const isTest = (/** @type {string} */ path) => /\.test\.\w+$/.test(path)
const isPure = (/** @type {string} */ path) =>
  /^(?:protocol\/src|[^/]+\/src\/core)\//.test(path) && !isTest(path)
const isConfig = (/** @type {string} */ path) => /\.config\.\w+$/.test(path)

/** @type {Rule[]} */
export const rules = [
  {
    name: 'leftover word',
    pattern: new RegExp(`\\b(?:${['TO' + 'DO', 'FIX' + 'ME', 'X' + 'XX'].join('|')})\\b`, 'g'),
    reads: 'text',
    mend: 'do it now or write it down where work is planned.',
  },
  {
    name: 'ts-ignore',
    pattern: /@ts-(?:ignore|nocheck)\b/g,
    reads: 'text',
    mend: 'mend the type; a test may use @ts-expect-error with a reason.',
  },
  {
    name: 'any',
    pattern: /(?:[:<|&,(=]\s*|\bas\s+|\bextends\s+)any\b(?!\s*:)|\bany\[\]/g,
    reads: 'bare',
    only: (path) => path.endsWith('.ts'),
    mend: 'use unknown and narrow it.',
  },
  {
    name: 'default export',
    pattern: /\bexport\s+default\b|\bas\s+default\b/g,
    reads: 'bare',
    only: (path) => !isConfig(path),
    mend: 'export it by its name.',
  },
  {
    name: 'enum',
    pattern: /\benum\s+\w+\s*\{/g,
    reads: 'bare',
    mend: 'use a union of string literals.',
  },
  {
    name: 'empty catch',
    pattern: /\bcatch\s*(?:\([^)]*\))?\s*\{\s*\}/g,
    reads: 'bare',
    mend: 'handle it, return it or rethrow it with { cause }; a comment does not handle anything.',
  },
  {
    name: 'swallowed rejection',
    pattern:
      /\.catch\(\s*(?:\(\s*\w*\s*\)|\w+)\s*=>\s*(?:\{\s*\}|undefined|null|void 0)\s*,?\s*\)/g,
    reads: 'bare',
    mend: 'handle the rejection: log it, count it, or pass it on.',
  },
  {
    name: 'unproved !',
    pattern: /[\w\])]!(?=[.[),;\]\s]|$)(?!\s*=)/gm,
    reads: 'bare',
    only: (path) => path.endsWith('.ts') && !isTest(path),
    mend: 'use present() from @popmq/kit, or prove it in a comment on that line or the one above.',
  },
  {
    name: 'clock in a core',
    pattern: /\bDate\.now\b|\bnew\s+Date\s*(?:\(\s*\)|(?!\s*\())|(?<!new\s+)\bDate\s*\(/g,
    reads: 'bare',
    only: isPure,
    mend: 'a core takes time as an argument: use its Clock.',
  },
  {
    name: 'surroundings in a core',
    pattern: /\b(?:systemClock|systemRandom|lineLog)\b/g,
    reads: 'bare',
    only: isPure,
    mend: 'a core receives its Clock, Random and Log as arguments.',
  },
  {
    name: 'narrowed test run',
    pattern: /\b(?:test|it|describe|suite|t|context)\.only\s*\(|\bonly\s*:\s*true\b/g,
    reads: 'bare',
    only: isTest,
    mend: 'run the whole file.',
  },
  {
    name: 'skipped test',
    pattern: /\.(?:skip|todo)\s*\(|\b(?:skip|todo)\s*:\s*true\b/g,
    reads: 'bare',
    unless: /^\.skip\s*\(\s*['"`]Not run on this machine: /,
    only: isTest,
    mend: "mend it or delete it; only t.skip('Not run on this machine: …') may stand.",
  },
]

/**
 * @param {SourceFile} file
 * @returns {string[]} one sentence per violation
 */
export function checkCode(file) {
  const source = { text: file.text, ...readSource(file.text) }
  return rules
    .filter((rule) => rule.only?.(file.path) ?? true)
    .flatMap((rule) =>
      [...source[rule.reads].matchAll(rule.pattern)]
        .filter((match) => rule.unless?.test(source.withStrings.slice(match.index)) !== true)
        .map((match) => lineAt(file.text, match.index + match[0].length - 1))
        .filter((line) => rule.name !== 'unproved !' || !hasComment(file.text, line))
        .map((line) => `${file.path}:${line} ${rule.name}: ${rule.mend}`),
    )
}

/**
 * @param {string} text
 * @param {number} line
 */
function hasComment(text, line) {
  const lines = text.split('\n')
  return [lines[line - 2], lines[line - 1]].some((near) => /\/\/|\*/.test(near ?? ''))
}
