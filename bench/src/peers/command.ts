/** A program that is run to install something, and what it said. */
import { spawn } from 'node:child_process'

export interface Ended {
  readonly code: number
  readonly said: string
}

const keptChars = 4_000

/** Runs a program to its end; one that cannot be started has code 1 and says why. */
export function run(command: string, args: readonly string[], cwd = '/'): Promise<Ended> {
  return new Promise((resolve) => {
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
    const child = spawn(command, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] })
    let said = ''
    const keep = (text: string): void => {
      said = (said + text).slice(-keptChars)
    }
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (bytes: Buffer) => keep(bytes.toString()))
      stream.on('error', (error) => keep(error.message))
    }
    child.on('error', (error) => resolve({ code: 1, said: error.message }))
    child.on('close', (code) => resolve({ code: code ?? 1, said }))
  })
}

/** What went wrong stands at the end, or in the last line that says so. */
export function lastLine(said: string): string {
  const lines = said.trim().split('\n')
  return lines.findLast((line) => /^(?:E:|npm error)/.test(line)) ?? lines.at(-1) ?? ''
}
