// @ts-check
/** The stages of `npm run check`, `npm run e2e` and `npm test`. */
import { build } from './ready.mjs'
import { checkBy, countedRun, findTests, nodeTests, oneCheck } from './stages.mjs'
import { readWorkspaces } from './tidy/repository.mjs'
import { root } from './child.mjs'

/** @typedef {import('./stages.mjs').Stages} Stages */

const minute = 60_000
/** Tests that start real processes; they are the e2e stage. */
const isScenario = /^e2e\/dist\/scenarios\/.*\.test\.js$|^scripts\/pack\.test\.mjs$/
/** Compares what things cost: nothing else may run beside it. */
const isRatios = /^bench\/dist\/growth\/ratios\.test\.js$/

/**
 * @param {Stages} stages
 * @returns {Promise<boolean>} whether it was built; later stages need that
 */
export async function checkStages(stages) {
  const built = await stages.run('build', () => oneCheck(build))
  const tidy = findTests(['scripts'], /^scripts\/(?:tidy\.test|tidy\/.*\.test)\.mjs$/)
  await stages.run('tidy', () => nodeTests(tidy, { timeoutMs: minute }))
  await stages.run('scripts', () => checkBy('node_modules/typescript/bin/tsc', ['-p', 'scripts']))
  await stages.run('lint', () => checkBy('node_modules/oxlint/bin/oxlint', []))
  await stages.run('format', () => checkBy('node_modules/oxfmt/bin/oxfmt', ['--check']))
  if (!built) return false
  const isElsewhere = (/** @type {string} */ file) =>
    tidy.includes(file) || isScenario.test(file) || isRatios.test(file)
  const unit = unitTests().filter((file) => !isElsewhere(file))
  await stages.run('unit', () => nodeTests(unit, { timeoutMs: 2 * minute }))
  return true
}

/** @param {Stages} stages */
export async function scenarioStage(stages) {
  const files = findTests(['e2e/dist', 'scripts'], isScenario)
  await stages.run('e2e', () => nodeTests(files, { concurrency: 1, timeoutMs: 20 * minute }))
  const ratios = findTests(['bench/dist'], isRatios)
  await stages.run('ratios', () => nodeTests(ratios, { concurrency: 1, timeoutMs: 3 * minute }))
}

/** @param {Stages} stages */
export async function simulationStage(stages) {
  const simulator = 'e2e/dist/simulation/main.js'
  await stages.run('sim', () => countedRun(simulator, ['--seeds', '300']))
  await stages.run('plants', () => countedRun(simulator, ['--plants-check']))
}

/** @param {Stages} stages */
export async function chaosStage(stages) {
  const args = ['--minutes', '2', '--seed', '1']
  await stages.run('chaos', () => countedRun('e2e/dist/chaos/main.js', args))
}

function unitTests() {
  const dists = readWorkspaces(root).workspaces.map(({ folder }) => `${folder}/dist`)
  return findTests([...dists, 'scripts'], /\.test\.m?js$/)
}
