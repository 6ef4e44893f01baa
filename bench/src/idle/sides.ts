/** What a process with idle connections is told, and answers. */

export interface OpenGiven {
  readonly count: number
  /** Asked for by each client once, so that it has a connection to the broker. */
  readonly topic: string
}

export interface FetchGiven {
  readonly topic: string
  readonly partitions: number
  /** Polls of this process: they take turns with partitions, from number `first` on. */
  readonly polls: number
  readonly first: number
}

export interface PopGiven {
  readonly topic: string
  readonly group: string
  readonly polls: number
}

/** What waiting polls have received since they were last asked. */
export interface Woken {
  readonly count: number
  /** On the clock of all processes; 0 of none. */
  readonly lastMs: number
  /** How many received each message, by its number. */
  readonly byNumber: Readonly<Record<number, number>>
}
