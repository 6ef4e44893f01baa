// @ts-check
/** `npm run chaos -- FLAGS`: faults over real processes. */
import { become } from './child.mjs'
import { makeReady } from './ready.mjs'

if (await makeReady()) become('e2e/dist/chaos/main.js', process.argv.slice(2))
else process.exitCode = 1
