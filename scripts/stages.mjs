// @ts-check
/** Runs stages one after another, each with a header, its duration and its counts, and sums them up. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { root, run } from './child.mjs'
import { readCounts, readTap } from './tap.mjs'

/**
 * @typedef {object} Outcome
 * @property {number} passed
 * @property {number} failed
 * @property {number} skipped
 * @property {string[]} [notes] what to say about it once more at the very end
 */

export class Stages {
  #total = { passed: 0, failed: 0, skipped: 0 }
  /** @type {string[]} */
  #notes = []

  /**
   * @param {string} title
   * @param {() => Promise<Outcome>} body
   * @returns {Promise<boolean>} whether nothing failed
   */
  async run(title, body) {
    const line = `── ${title} `
    process.stdout.write(`\n${line.padEnd(100, '─')}\n`)
    const startedAt = Date.now()
    const outcome = await body()
    const seconds = ((Date.now() - startedAt) / 1000).toFixed(1)
    for (const key of /** @type {const} */ (['passed', 'failed', 'skipped'])) {
      this.#total[key] += outcome[key]
    }
    for (const note of outcome.notes ?? []) {
      process.stdout.write(`${note}\n`)
      this.#notes.push(`${title}: ${note}`)
    }
    if (outcome.failed > 0) this.#notes.push(`${title}: ${outcome.failed} failed`)
    process.stdout.write(`${title}: ${sentence(outcome)} in ${seconds} s\n`)
    return outcome.failed === 0
  }

  /** Prints what was not run or failed, then the sum as the last line, and sets the exit code. */
  finish() {
    process.stdout.write(`\n${this.#notes.map((note) => `${note}\n`).join('')}`)
    process.stdout.write(`${sentence(this.#total)}\n`)
    if (this.#total.failed > 0) process.exitCode = 1
  }
}

/**
 * A stage that holds or does not.
 * @param {() => Promise<boolean>} holds
 * @returns {Promise<Outcome>}
 */
export async function oneCheck(holds) {
  return (await holds())
    ? { passed: 1, failed: 0, skipped: 0 }
    : { passed: 0, failed: 1, skipped: 0 }
}

/**
 * @param {string} script from the top of the repository
 * @param {string[]} args
 * @returns {Promise<Outcome>}
 */
export function checkBy(script, args) {
  return oneCheck(
    async () => (await run(process.execPath, [path.join(root, script), ...args])).code === 0,
  )
}

/**
 * Runs test files by node:test. No file, or a file without a test, is a failure.
 * @param {string[]} files from the top of the repository
 * @param {{ concurrency?: number, timeoutMs: number }} options the timeout is per test file
 * @returns {Promise<Outcome>}
 */
export async function nodeTests(files, { concurrency, timeoutMs }) {
  if (files.length === 0) return nothingRan('no test file was found')
  const folder = mkdtempSync(path.join(tmpdir(), 'popmq-tap-'))
  const tap = path.join(folder, 'tap')
  const args = ['--enable-source-maps', '--test', `--test-timeout=${timeoutMs}`]
  if (concurrency !== undefined) args.push(`--test-concurrency=${concurrency}`)
  args.push('--test-reporter=spec', '--test-reporter-destination=stdout')
  args.push('--test-reporter=tap', `--test-reporter-destination=${tap}`)
  const { code } = await run(process.execPath, [...args, ...files])
  const summary = readTap(existsSync(tap) ? readFileSync(tap, 'utf8') : '')
  rmSync(folder, { recursive: true })

  const { passed, skipped } = summary
  const notes = summary.hollow.map((file) => `${path.relative(root, file)} holds no test`)
  notes.push(...summary.notRun.map(notRunLine))
  const failed = code !== 0 && summary.failed === 0 ? 1 : summary.failed
  if (passed + failed === 0) return nothingRan('no test ran')
  return { passed, failed, skipped, notes }
}

/**
 * Runs a program of ours that ends with a line of counts.
 * @param {string} file from the top of the repository
 * @param {string[]} args
 * @returns {Promise<Outcome>}
 */
export async function countedRun(file, args) {
  if (!existsSync(path.join(root, file))) return nothingRan(`${file} is not there`)
  const node = ['--enable-source-maps', path.join(root, file), ...args]
  const { code, output } = await run(process.execPath, node, { stdout: 'show and keep' })
  const counts = readCounts(output)
  if (counts === undefined) return nothingRan(`${file} did not end with "N passed, N failed"`)
  const failed = code !== 0 && counts.failed === 0 ? 1 : counts.failed
  if (counts.passed + failed === 0) return nothingRan('nothing ran')
  return { ...counts, failed }
}

/**
 * @param {string[]} folders from the top of the repository
 * @param {RegExp} wanted against each path from the top
 * @returns {string[]} sorted
 */
export function findTests(folders, wanted) {
  return folders
    .filter((folder) => existsSync(path.join(root, folder)))
    .flatMap((folder) =>
      readdirSync(path.join(root, folder), { recursive: true, encoding: 'utf8' })
        .map((file) => path.posix.join(folder, file.replaceAll(path.sep, '/')))
        .filter((file) => wanted.test(file)),
    )
    .toSorted()
}

/** @param {string} why */
function nothingRan(why) {
  return { passed: 0, failed: 1, skipped: 0, notes: [why] }
}

/** @param {string} line */
function notRunLine(line) {
  return line.includes('Not run on this machine: ') ? line : `Not run on this machine: ${line}`
}

/** @param {Outcome} outcome */
function sentence({ passed, failed, skipped }) {
  return `${passed} passed, ${failed} failed, ${skipped} skipped`
}
