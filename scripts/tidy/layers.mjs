// @ts-check
/**
 * Which folder may import which. The arrows of docs/ARCHITECTURE.md as a table: npm workspaces do not hold them.
 * A file belongs to the longest entry its path starts with; it may import its own layer and the ones listed.
 * `(types)` behind a name allows `import type` only.
 */
import { builtinModules } from 'node:module'
import path from 'node:path'
import { lineAt, readSource } from './source-text.mjs'

/** @typedef {{ path: string, text: string }} SourceFile */
/** @typedef {{ name?: string, exports?: Record<string, unknown>, dependencies?: Record<string, string>, devDependencies?: Record<string, string>, bundleDependencies?: string[] }} Manifest */
/** @typedef {{ folder: string, manifest: Manifest, references: string[] }} Workspace */
/** @typedef {{ layers: Record<string, string[] | '*'>, workspaces: Workspace[], rootManifest: Manifest }} Rules */
/** @typedef {{ specifier: string, typeOnly: boolean, line: number }} Import */

/** @type {Record<string, string[] | '*'>} */
export const layers = {
  kit: [],
  // Real files: for shells only. A core sees the interface in kit.
  'kit/src/storage': ['kit'],
  // The checksum that a core gets as a function: it knows zlib.
  'kit/src/checksum': ['kit'],
  // Simulated time and disks: for tests and e2e only.
  'kit/src/testing': ['kit', 'kit/src/storage'],
  protocol: ['kit'],
  transport: ['kit', 'protocol'],

  'broker/src/core': ['kit', 'protocol'],
  'broker/src/storage': ['kit', 'kit/src/storage', 'protocol', 'broker/src/core'],
  'broker/src/handlers': ['kit', 'protocol', 'transport (types)', 'broker/src/core'],
  'broker/src/net': ['kit', 'protocol', 'transport', 'broker/src/core', 'broker/src/handlers'],
  broker: [
    'kit',
    'kit/src/checksum',
    'kit/src/storage',
    'protocol',
    'transport',
    'broker/src/core',
    'broker/src/storage',
    'broker/src/handlers',
    'broker/src/net',
  ],

  'coordinator/src/core': ['kit', 'protocol'],
  'coordinator/src/registry': ['kit', 'kit/src/storage', 'protocol', 'coordinator/src/core'],
  'coordinator/src/handlers': ['kit', 'protocol', 'transport (types)', 'coordinator/src/core'],
  'coordinator/src/net': [
    'kit',
    'protocol',
    'transport',
    'coordinator/src/core',
    'coordinator/src/handlers',
  ],
  coordinator: [
    'kit',
    'kit/src/storage',
    'protocol',
    'transport',
    'coordinator/src/core',
    'coordinator/src/registry',
    'coordinator/src/handlers',
    'coordinator/src/net',
  ],
  // Members and brokers for its tests, and real ZooKeeper servers for those of e2e.
  'coordinator/src/testing': [
    'kit',
    'protocol',
    'transport',
    'coordinator/src/core',
    'coordinator/src/registry',
    'coordinator',
  ],

  // What users see: types alone, so that a core may speak in their words.
  'client/src/api': ['kit', 'protocol', 'transport (types)'],
  'client/src/core': ['kit', 'protocol', 'transport (types)', 'client/src/api (types)'],
  'client/src/testing': [
    'kit',
    'protocol',
    'transport',
    'client/src/api',
    'client/src/core',
    'client',
  ],
  client: ['kit', 'kit/src/checksum', 'protocol', 'transport', 'client/src/api', 'client/src/core'],

  bench: ['kit', 'client'],
  cli: [
    'kit',
    'kit/src/storage',
    'protocol',
    'transport',
    'client',
    'broker',
    'coordinator',
    'bench',
  ],
  e2e: '*',
  'docs/examples': ['client'],
  scripts: [],
}

/** Any test may import these, beside what its layer may. */
const testLayers = [
  'kit/src/testing',
  'kit/src/checksum',
  'coordinator/src/testing',
  'client/src/testing',
]
const testCode = /\.test\.\w+$|\/testing\//

const builtins = new Set(builtinModules)
const importForms = [
  /\b(?:import|export)\s+(?<type>type\s+)?(?<clause>[\w\s{},*$]*?)\bfrom\s*(?<quote>['"])(?<specifier>[^'"\n]+)\k<quote>/g,
  /\bimport\s*(?<quote>['"])(?<specifier>[^'"\n]+)\k<quote>/g,
  /\bimport\s*\(\s*(?<quote>['"])(?<specifier>[^'"\n]+)\k<quote>/g,
]

/**
 * @param {string} text
 * @returns {Import[]}
 */
export function importsOf(text) {
  const { withStrings, bare } = readSource(text)
  return importForms.flatMap((form) =>
    [...withStrings.matchAll(form)]
      // What only looks like an import inside a string has no keyword in the bare code.
      .filter((match) => /^(?:import|export)/.test(bare.slice(match.index)))
      .map((match) => ({
        specifier: match.groups?.['specifier'] ?? '',
        typeOnly: match.groups?.['type'] !== undefined,
        line: lineAt(text, match.index),
      })),
  )
}

/**
 * @param {SourceFile} file
 * @param {Rules} rules
 * @returns {string[]} one sentence per import that is not allowed
 */
export function checkImports(file, rules) {
  return importsOf(file.text).flatMap((found) => {
    const where = `${file.path}:${found.line} imports ${found.specifier}`
    return checkImport(file, found, rules).map((reason) => `${where}: ${reason}`)
  })
}

/**
 * @param {SourceFile} file
 * @param {Import} found
 * @param {Rules} rules
 * @returns {string[]}
 */
function checkImport(file, found, rules) {
  const { specifier } = found
  if (specifier.startsWith('node:')) return []
  if (builtins.has(specifier)) return [`write node:${specifier}.`]
  if (specifier.startsWith('.')) return checkRelative(file, found, rules)
  const inner = rules.workspaces.find(({ manifest }) => isOrIsUnder(specifier, manifest.name))
  if (inner === undefined) return checkThirdParty(file, specifier, rules)
  return checkWorkspaceImport(file, { ...found, inner }, rules)
}

/**
 * @param {SourceFile} file
 * @param {Import} found
 * @param {Rules} rules
 */
function checkRelative(file, found, rules) {
  const target = path.posix.join(path.posix.dirname(file.path), found.specifier)
  const [own] = file.path.split('/')
  if (!target.startsWith(`${own}/`)) {
    return ['a relative path does not leave its package; import the package by its name.']
  }
  return checkArrow({ file, typeOnly: found.typeOnly, target: layerOf(target, rules) }, rules)
}

/**
 * @param {SourceFile} file
 * @param {Import & { inner: Workspace }} found
 * @param {Rules} rules
 */
function checkWorkspaceImport(file, found, rules) {
  const { specifier, inner } = found
  const own = workspaceOf(file, rules)
  if (own?.folder === inner.folder) return ['inside one package, import by a relative path.']
  const subpath = specifier.slice((inner.manifest.name ?? '').length)
  const problems = []
  if (inner.manifest.exports?.[`.${subpath}`] === undefined) {
    problems.push(`${inner.manifest.name} does not export ".${subpath}"; add it to its index.`)
  }
  if (own !== undefined && own.manifest.dependencies?.[inner.manifest.name ?? ''] === undefined) {
    problems.push(`${own.folder}/package.json does not list it under "dependencies".`)
  }
  if (own !== undefined && !own.references.includes(inner.folder)) {
    problems.push(`${own.folder}/tsconfig.json does not reference ../${inner.folder}.`)
  }
  const target = layerOf(
    subpath === '' ? `${inner.folder}/` : `${inner.folder}/src${subpath}`,
    rules,
  )
  return [...problems, ...checkArrow({ file, typeOnly: found.typeOnly, target }, rules)]
}

/**
 * @param {SourceFile} file
 * @param {string} specifier
 * @param {Rules} rules
 */
function checkThirdParty(file, specifier, rules) {
  const parts = specifier.split('/')
  const name = parts.slice(0, specifier.startsWith('@') ? 2 : 1).join('/')
  const own = workspaceOf(file, rules)
  if (own?.manifest.dependencies?.[name] !== undefined) return []
  const forTests = testCode.test(file.path)
  const shared = rules.rootManifest.devDependencies?.[name] !== undefined
  if ((forTests || own?.folder === 'e2e') && shared) return []
  const manifest =
    own === undefined ? 'no package.json' : `${own.folder}/package.json does not list`
  return [
    own === undefined ? 'scripts use Node alone.' : `${manifest} ${name} under "dependencies".`,
  ]
}

/**
 * @param {{ file: SourceFile, typeOnly: boolean, target: string | undefined }} arrow
 * @param {Rules} rules
 */
function checkArrow({ file, typeOnly, target }, rules) {
  const from = layerOf(file.path, rules)
  if (from === undefined) return [`no layer holds ${file.path}; add its folder to the layer table.`]
  if (target === undefined) return ['the layer table does not name its folder.']
  const allowed = rules.layers[from] ?? []
  if (from === target || allowed === '*' || allowed.includes(target)) return []
  if (testLayers.includes(target) && testCode.test(file.path)) return []
  if (allowed.includes(`${target} (types)`)) {
    return typeOnly ? [] : [`${from} may take only types from ${target}: write import type.`]
  }
  const may = allowed.length === 0 ? 'nothing but itself' : allowed.join(', ')
  return [`${from} may not know ${target} (it may import: ${may}).`]
}

/**
 * @param {string} file
 * @param {Rules} rules
 */
function layerOf(file, rules) {
  return Object.keys(rules.layers)
    .filter((layer) => file.startsWith(`${layer}/`) || file === layer)
    .toSorted((a, b) => b.length - a.length)[0]
}

/**
 * @param {SourceFile} file
 * @param {Rules} rules
 */
function workspaceOf(file, rules) {
  return rules.workspaces.find(({ folder }) => file.path.startsWith(`${folder}/`))
}

/**
 * @param {string} specifier
 * @param {string | undefined} name
 */
function isOrIsUnder(specifier, name) {
  return name !== undefined && (specifier === name || specifier.startsWith(`${name}/`))
}
