// @ts-check
/**
 * Makes `npm pack -w client` and `npm pack -w cli` give tarballs that install anywhere.
 *
 * The workspaces inside them are on no registry, so they travel along as bundled dependencies. `prepack` copies what is
 * built into the package's own node_modules, where npm looks for bundled ones; `postpack` takes the copies away again.
 * The copies list no dependencies: the outer package lists what they need (scripts/tidy/dependencies.mjs checks it).
 */
import {
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import { root } from './child.mjs'
import { readJson } from './tidy/repository.mjs'

const scope = 'node_modules/@popmq'

/**
 * Copies the built workspaces that `folder` bundles into its own node_modules.
 * @param {string} folder
 */
export function stage(folder) {
  /** @type {{ bundleDependencies?: string[] }} */
  const { bundleDependencies = [] } = readJson(path.join(root, folder, 'package.json'))
  unstage(folder)
  for (const name of bundleDependencies)
    copyPackage(name, path.join(root, folder, 'node_modules', name))
}

/**
 * Takes the copies away. Does nothing where there are none.
 * @param {string} folder
 */
export function unstage(folder) {
  const copies = path.join(root, folder, scope)
  if (!existsSync(copies)) return
  for (const name of readdirSync(copies)) {
    // A link is npm's own; only real directories are ours.
    const copy = path.join(copies, name)
    if (!lstatSync(copy).isSymbolicLink()) rmSync(copy, { recursive: true })
  }
  for (const empty of [copies, path.dirname(copies)]) {
    if (readdirSync(empty).length === 0) rmSync(empty, { recursive: true })
  }
}

/**
 * @param {string} name
 * @param {string} target
 */
function copyPackage(name, target) {
  const source = path.join(root, 'node_modules', name)
  const manifest = readJson(path.join(source, 'package.json'))
  const { version, description, license, type, engines, exports } = manifest
  mkdirSync(target, { recursive: true })
  writeFileSync(
    path.join(target, 'package.json'),
    `${JSON.stringify({ name, version, description, license, type, engines, exports }, null, 2)}\n`,
  )
  cpSync(path.join(source, 'dist'), path.join(target, 'dist'), {
    recursive: true,
    filter: (file) => !/\.test\.|\.tsbuildinfo$/.test(path.basename(file)),
  })
}
