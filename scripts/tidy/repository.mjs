// @ts-check
/** What the checks look at: the repository's own files, without what is installed, built or written at run time. */
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'

/** @typedef {{ path: string, text: string }} SourceFile */
/** @typedef {import('./layers.mjs').Workspace} Workspace */
/** @typedef {import('./layers.mjs').Manifest} Manifest */

const notOurs = new Set(['node_modules', 'dist', '.git', '.tmp', 'coverage', 'data'])
const binary = /\.(?:png|jpe?g|gif|ico|woff2?|tgz|gz|zip|pdf|bin)$/
const scratch = /\.(?:tgz|tsbuildinfo|log)$/

/**
 * Every text file, with its path from `root` in forward slashes, sorted.
 * @param {string} root
 * @returns {SourceFile[]}
 */
export function readRepository(root) {
  return listFiles(root, '')
    .filter((file) => !binary.test(file) && !scratch.test(file))
    .toSorted()
    .map((file) => ({ path: file, text: readFileSync(path.join(root, file), 'utf8') }))
}

/**
 * @param {SourceFile[]} files
 * @returns {SourceFile[]} code we write by hand
 */
export function sourcesOf(files) {
  return files.filter((file) => /\.(?:ts|tsx|mjs|js)$/.test(file.path))
}

/**
 * @param {string} root
 * @returns {{ rootManifest: Manifest, workspaces: Workspace[] }}
 */
export function readWorkspaces(root) {
  /** @type {Manifest & { workspaces: string[] }} */
  const rootManifest = readJson(path.join(root, 'package.json'))
  const workspaces = rootManifest.workspaces.map((folder) => ({
    folder,
    manifest: readJson(path.join(root, folder, 'package.json')),
    references: readReferences(path.join(root, folder, 'tsconfig.json')),
  }))
  return { rootManifest, workspaces }
}

/** @param {string} file */
export function readJson(file) {
  return JSON.parse(readFileSync(file, 'utf8'))
}

/** @param {string} file */
function readReferences(file) {
  /** @type {{ references?: { path: string }[] }} */
  const { references = [] } = readJson(file)
  return references.map((reference) => path.posix.basename(reference.path))
}

/**
 * @param {string} root
 * @param {string} folder
 * @returns {string[]}
 */
function listFiles(root, folder) {
  return readdirSync(path.join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const file = path.posix.join(folder, entry.name)
    if (entry.isDirectory()) return notOurs.has(entry.name) ? [] : listFiles(root, file)
    return entry.isFile() ? [file] : []
  })
}
