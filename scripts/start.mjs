// @ts-check
/** `npm start -- FLAGS`: coordinator, broker and whatever else `popmq dev` starts. */
import { become } from './child.mjs'
import { makeReady } from './ready.mjs'

if (await makeReady()) become('cli/bin/popmq.js', ['dev', ...process.argv.slice(2)])
else process.exitCode = 1
