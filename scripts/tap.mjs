// @ts-check
/** Reads the TAP that node:test writes, and the counts that our own programs end with. */

/**
 * @typedef {object} TapSummary
 * @property {number} passed
 * @property {number} failed cancelled ones and hollow files too
 * @property {number} skipped tests that were skipped, and things printed as not run
 * @property {string[]} notRun one line for each of those
 * @property {string[]} hollow test files that ran no test; node:test counts each as one that passed
 */

const notRunPrefix = 'Not run on this machine: '

/**
 * @param {string} tap
 * @returns {TapSummary}
 */
export function readTap(tap) {
  /** @type {Map<string, number>} */
  const counts = new Map()
  for (const [, word = '', count] of tap.matchAll(
    /^# (pass|fail|cancelled|skipped|todo) (\d+)$/gm,
  )) {
    counts.set(word, Number(count))
  }
  const count = (/** @type {string} */ word) => counts.get(word) ?? 0
  const hollow = [...tap.matchAll(/^ok \d+ - (\S+\.test\.m?js)$/gm)].map(([, file = '']) => file)
  const skips = [...tap.matchAll(/^\s*ok \d+ - (.*?) # SKIP ?(.*)$/gm)].map(
    ([, name = '', reason = '']) =>
      `${notRunPrefix}${name}: ${reason.replace(notRunPrefix, '')}`.replace(/: $/, ''),
  )
  const printed = tap.split('\n').flatMap((line) => {
    const text = line.trim().replace(/^# /, '')
    return line !== '' && text.startsWith(notRunPrefix) ? [text] : []
  })
  const alone = printed.filter((line) => {
    const reason = line.slice(notRunPrefix.length)
    return !skips.some((skip) => skip.endsWith(reason))
  })
  return {
    passed: count('pass') - hollow.length,
    failed: count('fail') + count('cancelled') + hollow.length,
    skipped: count('skipped') + count('todo') + alone.length,
    notRun: [...skips, ...alone],
    hollow,
  }
}

/**
 * Reads the last line of counts of a program of ours: `N passed, N failed[, N skipped]`.
 * @param {string} output
 * @returns {{ passed: number, failed: number, skipped: number } | undefined} undefined if there is none
 */
export function readCounts(output) {
  const last = output
    .trimEnd()
    .split('\n')
    .findLast((line) => /\b\d+ passed\b/.test(line))
  if (last === undefined) return undefined
  const count = (/** @type {string} */ word) =>
    Number(new RegExp(`\\b(\\d+) ${word}\\b`).exec(last)?.[1] ?? 0)
  return { passed: count('passed'), failed: count('failed'), skipped: count('skipped') }
}
