/** `popmq`: see `run`. */
import { readFileSync } from 'node:fs'
import { run } from './run.ts'
import { processSurroundings } from './surroundings.ts'

const manifest = new URL('../package.json', import.meta.url)
const { version } = JSON.parse(readFileSync(manifest, 'utf8')) as { version: string }

const exitCode = await run(process.argv.slice(2), { surroundings: processSurroundings(), version })
// What was written is let out first; what is left open by then (stdin, a socket) must not keep the process.
process.stdout.write('', () => process.exit(exitCode))
