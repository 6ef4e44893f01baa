// @ts-check
/** `npm test`: everything that must hold, on a machine that may have nothing but Node. */
import { install } from './ready.mjs'
import { chaosStage, checkStages, scenarioStage, simulationStage } from './stage-list.mjs'
import { oneCheck, Stages } from './stages.mjs'
import { installSystemPackages } from './system-packages.mjs'

const stages = new Stages()
const isSetUp =
  (await stages.run('system', () => oneCheck(installSystemPackages))) &&
  (await stages.run('install', () => oneCheck(install)))
if (isSetUp && (await checkStages(stages))) {
  await scenarioStage(stages)
  await simulationStage(stages)
  await chaosStage(stages)
}
stages.finish()
