/** What a check found. */
export interface Finding {
  readonly check: string
  /** False when something should be done; what cannot be known is not a fault. */
  readonly ok: boolean
  readonly what: string
  /** What to do, when there is something to do. */
  readonly mend?: string
}
