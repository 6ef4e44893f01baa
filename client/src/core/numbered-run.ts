import type { Run } from './run.ts'

/** A run that has a number and is not settled. */
export interface NumberedRun {
  readonly run: Run
  /** How many runs were numbered before it. */
  readonly ordinal: number
  state: 'ready' | 'sent'
  /** An attempt ended without an answer: it may have been carried out, or may still be. */
  isFloating: boolean
  /** It was not stored and cannot be under this number, for one before it was not and will not be. */
  isCut: boolean
  /** The attempt under way was sent when every run before it was settled. */
  wasHead: boolean
  attempts: number
}
