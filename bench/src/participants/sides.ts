/** What the producing and the consuming processes of either path are told, and answer. */

export interface ProduceGiven {
  /** Numbers the run: the stripped path's stand-in for a topic. */
  readonly run: number
  /** Where messages go; many take turns. */
  readonly topics: readonly string[]
  /** Whether topics take turns message by message or batch by batch. */
  readonly turns: 'message' | 'batch'
  readonly messages: number
  readonly batch: number
  readonly sizeBytes: number
  readonly keyed: boolean
  /** When they become visible, in ms since 1970. @defaultValue at once */
  readonly deliverAt?: number
}

export interface Produced {
  readonly firstSendMs: number
  readonly lastAckMs: number
}

export interface ConsumeGiven {
  readonly run: number
  readonly topic: string
  readonly messages: number
  readonly sizeBytes: number
  readonly partitions: number
}

export interface Consumed {
  readonly lastReceiveMs: number
}
