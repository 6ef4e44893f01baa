import { assert } from '../assert.ts'

/** Paths are made by our own code: a bad one is a bug. '' is the root, good for a folder only. @returns `path` */
export function checkPath(path: string): string {
  const good = path === '' || path.split('/').every((part) => /^(?!\.{1,2}$)[^/\\\0]+$/.test(part))
  assert(good, `a storage path names files inside the root, got ${JSON.stringify(path)}`)
  return path
}

/** The folder that holds `path`; '' is the root. */
export function folderOf(path: string): string {
  return path.includes('/') ? path.slice(0, path.lastIndexOf('/')) : ''
}
