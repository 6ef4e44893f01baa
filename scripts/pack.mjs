// @ts-check
/** `node scripts/pack.mjs stage|unstage FOLDER`: the prepack and postpack scripts of client and cli. Silent on stdout. */
import { stage, unstage } from './bundle.mjs'
import { makeReady } from './ready.mjs'

const [, , action, folder = ''] = process.argv
if (action === 'unstage') unstage(folder)
else if (await makeReady()) stage(folder)
else process.exitCode = 1
