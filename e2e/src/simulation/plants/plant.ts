import type { Storage } from '@popmq/kit'

/** A planted bug: a fault in the product that the simulator must find. */
export interface Plant {
  readonly name: string
  /** What is wrong, in a sentence. */
  readonly what: string
  /** Puts itself between a broker and its disk. */
  readonly wrapStorage?: (storage: Storage) => Storage
  /** Changes the broker's code in this process, for good. */
  readonly patch?: () => Promise<void>
}
