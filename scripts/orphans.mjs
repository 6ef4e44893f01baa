// @ts-check
/** tsc -b leaves what it built from a source that was deleted or renamed: a test that still runs, a module that still packs. */
import { existsSync, readdirSync } from 'node:fs'
import path from 'node:path'
import { readJson } from './tidy/repository.mjs'

const built = /(?:\.d\.ts|\.js)(?:\.map)?$/

/**
 * @param {string} root
 * @returns {string[]} paths from `root` of built files in the workspaces' `dist` without a source in `src`
 */
export function findOrphans(root) {
  /** @type {{ workspaces: string[] }} */
  const { workspaces } = readJson(path.join(root, 'package.json'))
  return workspaces.flatMap((folder) => {
    const dist = path.join(root, folder, 'dist')
    if (!existsSync(dist)) return []
    return readdirSync(dist, { recursive: true, encoding: 'utf8' })
      .filter((file) => built.test(file))
      .filter((file) => !existsSync(path.join(root, folder, 'src', file.replace(built, '.ts'))))
      .map((file) => path.join(folder, 'dist', file))
  })
}
