import { brokerPlants } from './broker-plants.ts'
import { deliveryPlants } from './delivery-plants.ts'
import { groupPlants } from './group-plants.ts'
import type { Plant } from './plant.ts'
import { registryPlants } from './registry-plants.ts'
import { storagePlants } from './storage-plants.ts'

/** Every planted bug. */
export const plants: readonly Plant[] = [
  ...storagePlants,
  ...brokerPlants,
  ...registryPlants,
  ...groupPlants,
  ...deliveryPlants,
]

export function plantNamed(name: string): Plant | undefined {
  return plants.find((plant) => plant.name === name)
}
