// @ts-check
/** `npm run check`: all that holds without starting a server. */
import { oneCheck, Stages } from './stages.mjs'
import { checkStages } from './stage-list.mjs'
import { install } from './ready.mjs'

const stages = new Stages()
if (await stages.run('install', () => oneCheck(install))) await checkStages(stages)
stages.finish()
