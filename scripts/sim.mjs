// @ts-check
/** `npm run sim -- FLAGS`: the simulator. */
import { become } from './child.mjs'
import { makeReady } from './ready.mjs'

if (await makeReady()) become('e2e/dist/simulation/main.js', process.argv.slice(2))
else process.exitCode = 1
