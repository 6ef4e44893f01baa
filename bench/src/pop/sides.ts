/** What a popping process is told, and answers. */

export interface OpenGiven {
  readonly topic: string
  readonly group: string
  /** In this process. */
  readonly consumers: number
  /** Messages of each pop. */
  readonly batch: number
  /** In the topic. */
  readonly messages: number
  readonly sizeBytes: number
}

export interface Popped {
  readonly firstPopMs: number
  readonly lastAckMs: number
  /** See `AckedNumbers`. */
  readonly acked: string
  /** Handles whose ack was answered otherwise: those messages came again. */
  readonly notAcked: number
}

export interface LetGo {
  /** Of the message that was held. */
  readonly number: number
  /** How often its lease was extended. */
  readonly extensions: number
}
