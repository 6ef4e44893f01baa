import type { Registry } from '@popmq/coordinator'
import type { Storage } from '@popmq/kit'

/** A planted bug: a fault in the product that the simulator must find. */
export interface Plant {
  readonly name: string
  /** What is wrong, in a sentence. */
  readonly what: string
  /** It can show in seeds with a group only. */
  readonly isAboutGroups?: boolean
  /** It can show in seeds with consumers that pop only. */
  readonly isAboutDeliveries?: boolean
  /** Puts itself between a broker and its disk. */
  readonly wrapStorage?: (storage: Storage) => Storage
  /** Puts itself between a coordinator and its registry. */
  readonly wrapRegistry?: (registry: Registry) => Registry
  /** Changes the product's code in this process, for good. */
  readonly patch?: () => Promise<void>
}
