import type { Assignor } from './assignor.ts'
import { failover } from './failover.ts'
import { range } from './range.ts'
import { roundRobin } from './round-robin.ts'
import { sticky } from './sticky.ts'

/** The assignors that every coordinator has. */
export const assignors: ReadonlyMap<string, Assignor> = new Map<string, Assignor>([
  ['sticky', sticky],
  ['round-robin', roundRobin],
  ['range', range],
  ['failover', failover],
])

export const assignorNames: readonly string[] = [...assignors.keys()]
