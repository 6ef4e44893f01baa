import { MemoryStorage } from '@popmq/kit/testing'
import { topicId, type TopicInfo } from '@popmq/protocol'
import { sampleTopic } from '../core/testing/sample-set.ts'
import { DeliveryWorld, servedGroup } from './delivery-world.ts'

/** A disk that stands still while its gate is shut. */
export class GatedDisk {
  #held: (() => void)[] | undefined
  readonly storage = new MemoryStorage({
    schedule: (run) => {
      if (this.#held === undefined) queueMicrotask(run)
      else this.#held.push(run)
    },
  })

  shut(): void {
    this.#held ??= []
  }

  open(): void {
    const held = this.#held ?? []
    this.#held = undefined
    for (const run of held) queueMicrotask(run)
  }

  /** How many operations wait. */
  get waiting(): number {
    return this.#held?.length ?? 0
  }
}

/** Nobody reads it: what is sent there drives older records out of memory. */
export const filler: TopicInfo = { ...sampleTopic, id: topicId(9), name: 'filler' }

export async function gatedWorld(
  groups = [servedGroup()],
): Promise<{ readonly world: DeliveryWorld; readonly disk: GatedDisk }> {
  const disk = new GatedDisk()
  const world = new DeliveryWorld()
  world.world.storage = disk.storage
  await world.start(groups, [sampleTopic, filler])
  return { world, disk }
}

/** What was sent so far is on disk alone from now on. */
export async function forget(world: DeliveryWorld): Promise<void> {
  for (let round = 0; round < 3; round += 1)
    await world.send(
      Array.from({ length: 12 }, () => new Uint8Array(900)),
      { topic: filler.id },
    )
}
