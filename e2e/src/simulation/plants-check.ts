import { type Counts, replayCommand, spread, tell } from './campaign.ts'
import type { Plant } from './plants/plant.ts'
import { SeedThread } from './seed-thread.ts'
import { planOf } from './swarm.ts'

export interface PlantsCheckOptions {
  readonly plants: readonly Plant[]
  readonly from: number
  /** How many seeds may be tried before a planted bug counts as not found. */
  readonly seeds: number
  readonly threads: number
  readonly write: (line: string) => void
}

/** Runs seeds under each planted bug until a checker finds it. One that is not found is a failure of the simulator. */
export async function checkPlants({
  plants,
  from,
  seeds,
  threads,
  write,
}: PlantsCheckOptions): Promise<Counts> {
  let passed = 0
  await spread(plants.length, Array.from({ length: threads }), async (index) => {
    const plant = plants[index]
    if (plant === undefined) return
    const thread = new SeedThread(plant.name)
    const found = await firstFinding(thread, { plant, from, seeds })
    await thread.close()
    if (found === undefined) {
      write(`${plant.name}: not found by seeds ${from} to ${from + seeds - 1} (${plant.what})`)
      return
    }
    passed += 1
    const [line = ''] = found.lines
    write(
      `${plant.name}: found by seed ${found.seed} (${replayCommand(found.seed, plant.name)})\n${line}`,
    )
  })
  return { passed, failed: plants.length - passed }
}

async function firstFinding(
  thread: SeedThread,
  { plant, from, seeds }: Pick<PlantsCheckOptions, 'from' | 'seeds'> & { readonly plant: Plant },
): Promise<{ seed: number; lines: string[] } | undefined> {
  for (let seed = from; seed < from + seeds; seed += 1) {
    // A seed that cannot show it is not worth its time.
    const { group, delivery } = planOf(seed)
    if (plant.isAboutGroups === true && group === undefined) continue
    if (plant.isAboutDeliveries === true && delivery === undefined) continue
    const outcome = await thread.run(seed)
    if (outcome.violations.length > 0) return { seed, lines: tell(outcome) }
  }
  return undefined
}
