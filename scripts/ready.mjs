// @ts-check
/**
 * Makes a checkout ready to run: what the lockfile names is installed, every workspace is built.
 * All it says goes to stderr: the stdout of a script belongs to the program it starts.
 */
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { unstage } from './bundle.mjs'
import { root, run } from './child.mjs'
import { findOrphans } from './orphans.mjs'

const lockfile = path.join(root, 'package-lock.json')
/** Holds the hash of the lockfile that node_modules was installed from. */
const stamp = path.join(root, 'node_modules/.popmq-installed')

/** @returns {Promise<boolean>} false if it could not be installed or built; the reason is on stderr */
export async function makeReady() {
  return (await install()) && (await build())
}

/** @returns {Promise<boolean>} */
export async function install() {
  const wanted = createHash('sha256').update(readFileSync(lockfile)).digest('hex')
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return true
  process.stderr.write('Installing what package-lock.json names …\n')
  const npm = npmCommand()
  const { code } = await run(
    npm.command,
    [...npm.args, 'ci', '--ignore-scripts', '--include=dev'],
    {
      stdout: 'to stderr',
    },
  )
  if (code === 0) writeFileSync(stamp, wanted)
  else process.stderr.write('npm ci failed: see above.\n')
  return code === 0
}

/** @returns {Promise<boolean>} */
export async function build() {
  // Copies left behind by an interrupted npm pack would hide the sources they were made from.
  unstage('client')
  unstage('cli')
  const orphans = findOrphans(root)
  for (const file of orphans) rmSync(path.join(root, file))
  if (orphans.length > 0) {
    process.stderr.write(`Removed ${orphans.length} built files whose source is gone.\n`)
  }
  const tsc = path.join(root, 'node_modules/typescript/bin/tsc')
  const { code } = await run(process.execPath, [tsc, '-b'], { stdout: 'to stderr' })
  return code === 0
}

/** The npm that runs us, else the one on the path. */
function npmCommand() {
  const own = process.env['npm_execpath'] ?? ''
  if (path.basename(own) === 'npm-cli.js') return { command: process.execPath, args: [own] }
  return { command: 'npm', args: [] }
}
