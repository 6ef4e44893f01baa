// @ts-check
/** `npm run build` */
import { makeReady } from './ready.mjs'

if (!(await makeReady())) process.exitCode = 1
