// @ts-check
/** Imports a package that is installed in this folder, for code that lies elsewhere. */

/**
 * @param {string} name
 * @returns {Promise<unknown>}
 */
export function load(name) {
  return import(name)
}
