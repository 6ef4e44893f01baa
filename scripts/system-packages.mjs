// @ts-check
/** What the tests need from the system. A new tool or file is one line here. */
import { accessSync, constants, existsSync } from 'node:fs'
import path from 'node:path'
import { run } from './child.mjs'

/**
 * A program on the path, or a file where its package puts it.
 * @typedef {{ tool: string, debianPackage: string } | { file: string, debianPackage: string }} SystemNeed
 */

/** @type {SystemNeed[]} */
export const systemNeeds = [
  { tool: 'strace', debianPackage: 'strace' }, // fails and kills single system calls
  { tool: 'mkfs.ext4', debianPackage: 'e2fsprogs' }, // file systems for power cuts and full disks
  { tool: 'mount', debianPackage: 'mount' },
  { tool: 'losetup', debianPackage: 'mount' },
  // A ZooKeeper server. The package of the jar brings no Java along.
  { tool: 'java', debianPackage: 'default-jre-headless' },
  { file: '/usr/share/java/zookeeper.jar', debianPackage: 'libzookeeper-java' },
]

/**
 * @param {SystemNeed[]} needs
 * @param {(need: SystemNeed) => boolean} [isThere]
 * @returns {string[]} the Debian packages that are missing, each once, sorted
 */
export function missingPackages(needs, isThere = isMet) {
  const missing = needs.filter((need) => !isThere(need))
  return [...new Set(missing.map(({ debianPackage }) => debianPackage))].toSorted()
}

/**
 * Installs what is missing as root on Debian and Ubuntu; elsewhere says what to run.
 * @returns {Promise<boolean>} whether everything is there now
 */
export async function installSystemPackages() {
  const missing = missingPackages(systemNeeds)
  if (missing.length === 0) return true
  const install = ['install', '-y', '--no-install-recommends', ...missing]
  const isDebian = existsSync('/etc/debian_version') && isInstalled('apt-get')
  if (!isDebian || process.getuid?.() !== 0) {
    const how = isDebian ? '' : ' (or the same packages by the package manager of this system)'
    process.stderr.write(`The tests need ${missing.join(', ')}. Run this, then again:\n`)
    process.stderr.write(`  sudo apt-get ${install.join(' ')}${how}\n`)
    return false
  }
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  for (const args of [['update'], install]) {
    process.stderr.write(`apt-get ${args.join(' ')}\n`)
    const { code } = await run('apt-get', args, { stdout: 'to stderr', env })
    // A failed update may still leave lists that are good enough; the install decides.
    if (code !== 0 && args === install) return false
  }
  return missingPackages(systemNeeds).length === 0
}

/** @param {SystemNeed} need */
function isMet(need) {
  return 'file' in need ? existsSync(need.file) : isInstalled(need.tool)
}

/** @param {string} tool */
function isInstalled(tool) {
  const folders = (process.env['PATH'] ?? '').split(path.delimiter)
  return [...folders, '/usr/sbin', '/sbin'].some((folder) => isExecutable(path.join(folder, tool)))
}

/** @param {string} file */
function isExecutable(file) {
  if (!existsSync(file)) return false
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}
