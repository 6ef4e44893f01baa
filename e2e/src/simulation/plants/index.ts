import type { Plant } from './plant.ts'

/** Every planted bug, by name. */
export const plants: readonly Plant[] = []

export function plantNamed(name: string): Plant | undefined {
  return plants.find((plant) => plant.name === name)
}
