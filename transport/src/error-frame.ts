import {
  type Check,
  decodeBody,
  dictionary,
  errorFrameType,
  errorName,
  errorNumber,
  MqError,
} from '@popmq/protocol'
import { object, optional, replyBodyLimits, text, whole } from '@popmq/protocol'
import { frameParts } from './frame-parts.ts'

const mostFacts = 16
const mostTextBytes = 4_096

const fact: Check<number | string> = (value, path) =>
  typeof value === 'number' ? value : text(mostTextBytes)(value, path)

/** The fields of an error frame's body. */
const errorFields = object({
  error: whole(1, 0xffff),
  what: text(mostTextBytes),
  retryAfterMs: optional(whole()),
  facts: optional(dictionary(fact, mostFacts)),
})

/** The parts of an error frame. `correlationId` is 0 when the error belongs to no request. */
export function errorFrameParts(correlationId: number, error: MqError): Uint8Array[] {
  const facts = Object.entries(error.facts).slice(0, mostFacts)
  const fields = {
    error: errorNumber(error.name),
    what: shortened(error.what),
    ...(error.retryAfterMs === undefined ? {} : { retryAfterMs: Math.ceil(error.retryAfterMs) }),
    ...(facts.length === 0
      ? {}
      : { facts: Object.fromEntries(facts.map(([name, value]) => [name, shortenedFact(value)])) }),
  }
  return frameParts({ type: errorFrameType, correlationId, fields })
}

/** Reads the body of an error frame. @throws MqError `malformed_body`, `invalid_request` */
export function readErrorFrame(body: Uint8Array): MqError {
  const { error, what, retryAfterMs, facts } = errorFields(
    decodeBody(body, replyBodyLimits).fields,
    '',
  )
  return new MqError(errorName(error), what, {
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    ...(facts === undefined ? {} : { facts }),
  })
}

function shortenedFact(value: number | string): number | string {
  return typeof value === 'string' ? shortened(value) : value
}

/** At most 1,000 UTF-16 units, so at most 3,000 bytes, and well-formed: what the other end accepts. */
function shortened(words: string): string {
  const short = words.length > 1_000 ? `${words.slice(0, 999)}…` : words
  return short.replaceAll(/\p{Surrogate}/gu, '\ufffd')
}
