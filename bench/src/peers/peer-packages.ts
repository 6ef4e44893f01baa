/** Installs what peers need, when they are asked for: their clients by npm, their servers from the system's packages or by Maven. */
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readFile, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { type Ended, lastLine, run } from './command.ts'
import { installKafka } from './kafka-jars.ts'
import { isWithRepository, peersFolder } from './peers-folder.ts'
import type { Installed, Say } from './installed.ts'
import { type ServerProgram, serverVersion } from './versions.ts'

/** Installs the clients as their lock file names them. @returns why it could not be done, or undefined */
export async function installClients(say: Say): Promise<string | undefined> {
  if (!isWithRepository()) return 'the clients of the peers come with the repository alone'
  const lock = await readFile(path.join(peersFolder, 'package-lock.json'))
  const wanted = createHash('sha256').update(lock).digest('hex')
  const stamp = path.join(peersFolder, 'node_modules/.popmq-installed')
  if (existsSync(stamp) && (await readFile(stamp, 'utf8')) === wanted) return undefined
  say('Installing the clients of the peers …')
  const { command, args } = npmCommand()
  const { code, said } = await run(command, [...args, 'ci', '--ignore-scripts'], peersFolder)
  if (code !== 0) return `npm ci of the clients failed: ${lastLine(said)}`
  await writeFile(stamp, wanted)
  return undefined
}

export function installServer(program: ServerProgram, say: Say): Promise<Installed> {
  return program.name === 'kafka' ? installKafka(say) : installPackage(program, say)
}

/** As root on Debian and Ubuntu, when it is missing; elsewhere says what to run. */
async function installPackage(program: ServerProgram, say: Say): Promise<Installed> {
  const there = await serverVersion(program)
  if (there !== undefined) return { version: there }
  const { name } = program
  const isDebian = existsSync('/etc/debian_version')
  if (!isDebian || process.getuid?.() !== 0) {
    const how = isDebian ? `: sudo apt-get install ${name}` : ''
    return { notRun: `${name} is not installed${how}` }
  }
  say(`apt-get install ${name} …`)
  const { code, said } = await withoutStarting(() => aptInstall(name))
  if (code !== 0) return { notRun: `${name} could not be installed: ${lastLine(said)}` }
  const version = await serverVersion(program)
  return version === undefined ? { notRun: `${name} is installed and does not run` } : { version }
}

/** Lists are fetched only when the package is not in those that are there. */
async function aptInstall(name: string): Promise<Ended> {
  const install = ['install', '-y', '--no-install-recommends', name]
  const first = await run('apt-get', install)
  if (first.code === 0) return first
  await run('apt-get', ['update'])
  return run('apt-get', install)
}

const policy = '/usr/sbin/policy-rc.d'

/** Packages of servers start them: they are to run only while they are measured. */
async function withoutStarting(install: () => Promise<Ended>): Promise<Ended> {
  if (existsSync(policy)) return install()
  await writeFile(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755 })
  try {
    return await install()
  } finally {
    await rm(policy)
  }
}

/** The npm that runs us, else the one on the path. */
function npmCommand(): { readonly command: string; readonly args: readonly string[] } {
  const own = process.env['npm_execpath'] ?? ''
  if (path.basename(own) === 'npm-cli.js') return { command: process.execPath, args: [own] }
  return { command: 'npm', args: [] }
}
