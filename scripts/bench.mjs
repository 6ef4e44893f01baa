// @ts-check
/** `npm run bench -- FLAGS`: the workloads. */
import { become } from './child.mjs'
import { makeReady } from './ready.mjs'

if (await makeReady()) become('cli/bin/popmq.js', ['bench', ...process.argv.slice(2)])
else process.exitCode = 1
