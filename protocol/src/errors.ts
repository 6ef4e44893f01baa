import { errorTable, type Retriable } from './error-table.ts'

export type ErrorName = keyof typeof errorTable

export interface ErrorDetail {
  /** How long to wait before trying again, when the server says. */
  readonly retryAfterMs?: number
  /** What the error is about: `{ low: 10, high: 20 }`. Plain numbers and text. */
  readonly facts?: Readonly<Record<string, number | string>>
  readonly cause?: unknown
}

/** The one error class. Match on `name`, never on the text. */
export class MqError extends Error {
  override readonly name: ErrorName
  readonly retriable: Retriable
  readonly retryAfterMs: number | undefined
  readonly facts: Readonly<Record<string, number | string>>

  /** `what` is a sentence about this case; how to mend it comes from the table. */
  constructor(name: ErrorName, what: string, { retryAfterMs, facts, cause }: ErrorDetail = {}) {
    super(`${what} (${errorTable[name].mend})`, cause === undefined ? undefined : { cause })
    this.name = name
    this.retriable = errorTable[name].retriable
    this.retryAfterMs = retryAfterMs
    this.facts = facts ?? {}
    this.what = what
  }

  /** The sentence without the mend: what travels on the wire. */
  readonly what: string
}

export function isMqError(error: unknown, ...names: ErrorName[]): error is MqError {
  return error instanceof MqError && (names.length === 0 || names.includes(error.name))
}

/** Any thrown thing as an MqError; what is not one is a defect of ours and becomes `internal`. */
export function asMqError(error: unknown): MqError {
  if (error instanceof MqError) return error
  return new MqError('internal', error instanceof Error ? error.message : String(error), {
    cause: error,
  })
}

const namesByNumber = new Map<number, ErrorName>(
  Object.entries(errorTable).map(([name, { number }]) => [number, name as ErrorName]),
)

export function errorNumber(name: ErrorName): number {
  return errorTable[name].number
}

/** @returns `internal` for a number that this version does not know. */
export function errorName(number: number): ErrorName {
  return namesByNumber.get(number) ?? 'internal'
}
