import { parseArgs } from 'node:util'
import { replayCommand, runCampaign, tell } from './campaign.ts'
import { plantNamed, plants } from './plants/index.ts'
import { checkPlants } from './plants-check.ts'
import { runSeed } from './seed-run.ts'

const usage = `usage: npm run sim -- --seed N [--plant NAME] [--trace]      replays one seed
       npm run sim -- --seeds N [--from N] [--plant NAME]   runs many
       npm run -s sim -- --plants                           lists the planted bugs
       npm run sim -- --plants-check [--seeds N]            runs each planted bug until it is found`

const options = {
  seed: { type: 'string' },
  seeds: { type: 'string' },
  from: { type: 'string', default: '1' },
  plant: { type: 'string', default: '' },
  threads: { type: 'string', default: '2' },
  plants: { type: 'boolean', default: false },
  'plants-check': { type: 'boolean', default: false },
  trace: { type: 'boolean', default: false },
} as const

/** A planted bug that takes more seeds than this is not found in practice. */
const seedsPerPlant = 100
const replays = 5

function write(line: string): void {
  process.stdout.write(`${line}\n`)
}

/** @returns the exit code */
async function main(args: string[]): Promise<number> {
  const { values } = parseArgs({ args, options })
  const { plant } = values
  if (plant !== '' && plantNamed(plant) === undefined)
    return wrong(`there is no planted bug ${JSON.stringify(plant)}`)
  if (values.plants) {
    for (const { name } of plants) write(name)
    return 0
  }
  const from = whole('from', values.from)
  const threads = whole('threads', values.threads)
  if (values['plants-check']) {
    const seeds = whole('seeds', values.seeds ?? String(seedsPerPlant))
    return end('planted bugs', await checkPlants({ plants, from, seeds, threads, write }))
  }
  if (values.seed !== undefined) return replay(whole('seed', values.seed), plant, values.trace)
  if (values.seeds === undefined) return wrong('name a seed or a number of seeds')
  const seeds = whole('seeds', values.seeds)
  return end('seeds', await runCampaign({ from, seeds, plant, threads, replays, write }))
}

async function replay(seed: number, plantName: string, isTraced: boolean): Promise<number> {
  const plant = plantNamed(plantName)
  await plant?.patch?.()
  const outcome = await runSeed(seed, { plant, print: isTraced ? write : undefined })
  const { hash, events, virtualMs, summary, violations } = outcome
  write(`seed ${seed}: hash ${hash}, ${events} events, ${Math.round(virtualMs)} ms of virtual time`)
  write(summary)
  if (violations.length === 0) return 0
  for (const line of tell(outcome)) write(line)
  write(`seed ${seed} failed; replay it: ${replayCommand(seed, plantName)}`)
  return 1
}

function end(what: string, { passed, failed }: { passed: number; failed: number }): number {
  write(`${what}: ${passed} passed, ${failed} failed`)
  return failed === 0 ? 0 : 1
}

function whole(name: string, value: string): number {
  const number = Number(value)
  if (!Number.isSafeInteger(number) || number < 1)
    throw new TypeError(`--${name} is a whole number from 1, got ${value}`)
  return number
}

function wrong(what: string): number {
  process.stderr.write(`${what}\n${usage}\n`)
  return 2
}

try {
  process.exitCode = await main(process.argv.slice(2))
} catch (error) {
  if (!(error instanceof TypeError)) throw error
  process.exitCode = wrong(error.message)
}
