/** The small package with the peers' clients: it comes with the repository, and is no workspace of it. */
import { existsSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

export const peersFolder = fileURLToPath(new URL('../../peers/', import.meta.url))

export function isWithRepository(): boolean {
  return existsSync(path.join(peersFolder, 'package.json'))
}

/** A package of that folder. Its users say with an interface what of it they use: no build has its types. */
export async function loadPackage<T>(name: string): Promise<T> {
  const loader = pathToFileURL(path.join(peersFolder, 'load.mjs')).href
  const { load } = (await import(loader)) as { load: (name: string) => Promise<T> }
  return load(name)
}
