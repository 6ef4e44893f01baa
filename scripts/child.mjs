// @ts-check
/** Starts other programs for the scripts. */
import { spawn } from 'node:child_process'
import path from 'node:path'

/** The top of the repository; every program starts there unless told otherwise. */
export const root = path.resolve(import.meta.dirname, '..')

/** @typedef {{ code: number, output: string }} Ended the exit code (128 + n after signal n) and what was kept of stdout */

/**
 * Runs a program to its end, with our stderr as its own.
 * @param {string} command
 * @param {string[]} args
 * @param {{ stdout?: 'show' | 'keep' | 'show and keep' | 'to stderr', cwd?: string, env?: NodeJS.ProcessEnv }} [options]
 *   where its stdout goes; `show` by default
 * @returns {Promise<Ended>} it rejects only if the program cannot be started
 */
export function run(command, args, { stdout = 'show', cwd = root, env = process.env } = {}) {
  return new Promise((resolve, reject) => {
    const out = stdout === 'show' ? 'inherit' : stdout === 'to stderr' ? 2 : 'pipe'
    const child = spawn(command, args, { cwd, env, stdio: ['inherit', out, 'inherit'] })
    let output = ''
    child.stdout?.setEncoding('utf8')
    child.stdout?.on('data', (/** @type {string} */ text) => {
      output += text
      if (stdout === 'show and keep') process.stdout.write(text)
    })
    child.stdout?.on('error', reject)
    child.on('error', reject)
    child.on('close', (code, signal) => resolve({ code: exitCode(code, signal), output }))
  })
}

/**
 * Becomes a Node program of ours: its stdio, its signals and its exit code are those of this process.
 * @param {string} file from the top of the repository
 * @param {string[]} args
 */
export function become(file, args) {
  const child = spawn(process.execPath, ['--enable-source-maps', path.join(root, file), ...args], {
    stdio: 'inherit',
  })
  /** @type {NodeJS.Signals[]} */
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP']
  for (const signal of signals) {
    process.on(signal, () => {
      // Ctrl-C reaches every process of the terminal by itself; twice would mean "at once" to the program.
      if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal)
    })
  }
  child.on('error', (error) => {
    process.stderr.write(`${file} cannot be started: ${error.message}\n`)
    process.exitCode = 1
  })
  child.on('close', (code, signal) => {
    process.exitCode = exitCode(code, signal)
  })
}

const signalNumbers = new Map([
  ['SIGHUP', 1],
  ['SIGINT', 2],
  ['SIGABRT', 6],
  ['SIGKILL', 9],
  ['SIGSEGV', 11],
  ['SIGTERM', 15],
])

/**
 * @param {number | null} code
 * @param {NodeJS.Signals | null} signal
 */
function exitCode(code, signal) {
  return code ?? 128 + (signalNumbers.get(signal ?? '') ?? 0)
}
