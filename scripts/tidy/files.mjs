// @ts-check
/** Rules about files as such: their length, their names, and what no tracked file may say. */

/** @typedef {{ path: string, text: string }} SourceFile */

const ceiling = 300
const highCeiling = 400

/**
 * Files of 301 to 400 lines, each with the reason why it is one thing. The list may only shrink.
 * @type {Record<string, string>}
 */
export const longFiles = {}

const bannedNameParts = new Set([
  'util',
  'utils',
  'helper',
  'helpers',
  'common',
  'types',
  'manager',
  'service',
  'impl',
])

/**
 * @param {SourceFile[]} files sources only
 * @param {Record<string, string>} allowed path → reason
 * @returns {string[]}
 */
export function checkLengths(files, allowed) {
  const problems = []
  for (const { path, text } of files) {
    const lines = countLines(text)
    const reason = allowed[path]
    const limit = reason === undefined ? ceiling : highCeiling
    if (lines > limit) problems.push(`${path} has ${lines} lines, ${limit} are allowed: split it.`)
    if (reason !== undefined && lines <= ceiling) {
      problems.push(`${path} fits in ${ceiling} lines now: take it off the list of long files.`)
    }
    if (reason?.trim() === '')
      problems.push(`${path} is on the list of long files without a reason.`)
  }
  const known = new Set(files.map((file) => file.path))
  for (const path of Object.keys(allowed)) {
    if (!known.has(path)) problems.push(`${path} is gone: take it off the list of long files.`)
  }
  return problems
}

/**
 * @param {SourceFile[]} files sources only
 * @returns {string[]}
 */
export function checkNames(files) {
  return files.flatMap(({ path }) =>
    nameParts(path).flatMap(({ name, words }) => {
      const banned = words.filter((word) => bannedNameParts.has(word))
      const problems = banned.map(
        (word) => `${path}: "${word}" names nothing; call it by its noun in docs/GLOSSARY.md.`,
      )
      if (!/^\.?[a-z0-9]+(?:-[a-z0-9]+)*$/.test(name)) {
        problems.push(`${path}: write "${name}" in kebab-case.`)
      }
      return problems
    }),
  )
}

/**
 * @param {SourceFile[]} files sources only
 * @param {string} glossary the text of docs/GLOSSARY.md
 * @returns {string[]}
 */
export function checkGlossaryWords(files, glossary) {
  const refused = refusedWords(glossary)
  if (refused.size === 0) return ['docs/GLOSSARY.md: no table with a last column "not" was found.']
  return files.flatMap(({ path }) =>
    nameParts(path).flatMap(({ words }) =>
      [...refused]
        .filter(([refusedWord]) => `-${words.join('-')}-`.includes(`-${refusedWord}-`))
        .map(([word, term]) => `${path}: the glossary says ${term}, not "${word}".`),
    ),
  )
}

/**
 * The words of each table column headed "not", as they would stand in a file name. A word with an explanation in
 * parentheses is refused in one sense only, so it may stand in a name.
 * @param {string} glossary
 * @returns {Map<string, string>} refused word → the term to use
 */
export function refusedWords(glossary) {
  /** @type {Map<string, string>} */
  const refused = new Map()
  let inTable = false
  for (const line of glossary.split('\n')) {
    const cells = line.split('|').map((cell) => cell.replace(/[*`_]/g, '').trim())
    const last = cells.at(-2) ?? ''
    if (!line.startsWith('|')) inTable = false
    else if (last === 'not') inTable = true
    else if (inTable && !/^:?-+:?$/.test(last)) {
      for (const word of last.split(/[,;]/)) {
        const name = word.trim().toLowerCase().replaceAll(' ', '-')
        if (/^[a-z0-9-]+$/.test(name)) refused.set(name, cells[1] ?? '')
      }
    }
  }
  return refused
}

const machineTraces = [
  { pattern: /(?<![\w.~-])\/(?:work|root|home)\//, what: 'a path of one machine' },
  {
    pattern: /\.\.\/shared\b|\bshared\/(?:research|data)\b/,
    what: 'a path outside the repository',
  },
  {
    // Written so that the pattern does not find itself.
    pattern:
      /registry[.]\w+[.]\w+[:/]|npm[m]irror|[a]rtifactory|[v]erdaccio|[c]odeartifact|[.]pkg[.]dev|[j]frog/i,
    what: 'the host of a package registry',
  },
  { pattern: /^registry\s*=/m, what: 'a choice of package registry' },
]

/**
 * @param {SourceFile[]} files every text file of the repository
 * @returns {string[]}
 */
export function checkMachineTraces(files) {
  return files.flatMap(({ path, text }) =>
    machineTraces.flatMap(({ pattern, what }) => {
      const found = pattern.exec(text)
      if (found === null) return []
      return [
        `${path}:${countLines(text.slice(0, found.index + 1))} holds ${what} ("${found[0]}").`,
      ]
    }),
  )
}

/** @param {string} text */
function countLines(text) {
  return text.split('\n').length - (text.endsWith('\n') ? 1 : 0)
}

/** @param {string} path */
function nameParts(path) {
  return path.split('/').map((part) => {
    const name = part.replace(/(?<=.)(?:\.(?:test|config|d))?\.[a-z]+$/, '')
    return { name, words: name.toLowerCase().split('-') }
  })
}
