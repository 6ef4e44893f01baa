import { between, type Clock, type Random } from '@popmq/kit'
import type { CoordinatorNode } from './coordinator-node.ts'
import type { SimRegistry } from './sim-registry.ts'
import { fairRegistry } from './sim-registry.ts'
import type { RegistryFaultKind } from './swarm.ts'

export interface StrikesParts {
  readonly scheduler: Clock
  readonly random: Random
  readonly coordinators: readonly CoordinatorNode[]
  readonly registry: SimRegistry | undefined
}

/** Faults between the coordinators and the registry that they share. */
export class StrikesAtRegistry {
  readonly #parts: StrikesParts

  constructor(parts: StrikesParts) {
    this.#parts = parts
  }

  /** One that is struck: most often the one that leads. */
  coordinator(): CoordinatorNode {
    const { coordinators, random } = this.#parts
    const leading =
      random.next() < 0.7 ? coordinators.find(({ isLeading }) => isLeading) : undefined
    const chosen = leading ?? coordinators[between(random, 0, coordinators.length - 1)]
    if (chosen === undefined) throw new Error('a world has a coordinator')
    return chosen
  }

  strike(kind: RegistryFaultKind): void {
    const { random, scheduler, coordinators, registry } = this.#parts
    const coordinator = this.coordinator()
    if (registry === undefined) return
    switch (kind) {
      case 'coordinator_pause':
        return coordinator.pause(between(random, 200, 7_000))
      case 'coordinator_restart':
        return coordinator.restart()
      case 'registry_session_expires':
        return registry.expire(
          coordinator.name,
          random.next() < 0.5 ? 0 : between(random, 1, 4_000),
        )
      case 'registry_commits_unanswered':
        registry.worsen({ unansweredShare: 0.2, droppedShare: 0.1, lateShare: 0.1 })
        return this.#fairAgain(3_000)
      case 'registry_watches_late':
        registry.worsen({ watchLateMs: between(random, 50, 3_000), watchTwiceShare: 0.3 })
        return this.#fairAgain(6_000)
      case 'registry_cut':
      case 'registry_away': {
        const cut = kind === 'registry_cut' ? [coordinator] : coordinators
        for (const { name } of cut) registry.cut(name)
        scheduler.after(between(random, 200, 6_000), () => {
          for (const { name } of cut) registry.mend(name)
        })
        return
      }
      default:
        kind satisfies never
    }
  }

  #fairAgain(mostMs: number): void {
    const { random, scheduler, registry } = this.#parts
    if (registry === undefined) return
    scheduler.after(between(random, 200, mostMs), () =>
      Object.assign(registry.weather, fairRegistry),
    )
  }
}
