// @ts-check
/** `npm run e2e`: the tests that start real processes. */
import { makeReady } from './ready.mjs'
import { scenarioStage } from './stage-list.mjs'
import { oneCheck, Stages } from './stages.mjs'

const stages = new Stages()
if (await stages.run('build', () => oneCheck(makeReady))) await scenarioStage(stages)
stages.finish()
