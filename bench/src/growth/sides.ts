/** What the reading process is told, and answers. */

export interface ReadGiven {
  readonly topic: string
  /** Each reads all messages, by one member in this process. */
  readonly groups: readonly string[]
  readonly messages: number
  readonly sizeBytes: number
  readonly partitions: number
}

export interface ReadAll {
  readonly lastReceiveMs: number
}
