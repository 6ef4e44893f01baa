import { type ErrorName, MqError, type RunResult } from '@popmq/protocol'

/** What one attempt to deliver a run brought. */
export type AttemptOutcome =
  | { readonly kind: 'acked'; readonly result: RunResult }
  | { readonly kind: 'failed'; readonly error: MqError }

/**
 * What an error says of the attempt it ended:
 *   again         nothing was stored now; the same run may be sent again
 *   perhaps       nobody knows; the same run may be sent again
 *   out_of_order  nothing was stored now, for the broker does not know what came before
 *   forgotten     the broker does not remember whether it stored it
 *   never         nothing was stored now, and sending it again would not help
 *   fenced        the producer is replaced by another
 */
export type AttemptVerdict = 'again' | 'perhaps' | 'out_of_order' | 'forgotten' | 'never' | 'fenced'

export function attemptVerdict(error: MqError): AttemptVerdict {
  const known = verdicts.get(error.name)
  if (known !== undefined) return known
  if (error.retriable === 'no') return 'never'
  return error.retriable === 'yes' ? 'again' : 'perhaps'
}

/** Where the name says more than whether the call may be made again. */
const verdicts: ReadonlyMap<ErrorName, AttemptVerdict> = new Map<ErrorName, AttemptVerdict>([
  ['sequence_gap', 'out_of_order'],
  ['producer_unknown', 'out_of_order'],
  ['sequence_too_old', 'forgotten'],
  ['producer_fenced', 'fenced'],
  // The coordinator says whether it is gone: a broker may only not have heard of it yet.
  ['topic_not_found', 'again'],
  ['partition_not_found', 'again'],
  // This end closed the connection; a producer that is closed itself ends its runs.
  ['closed', 'again'],
])

/** Whether a route that is out of date may be the cause. */
export function concernsRoute(error: MqError): boolean {
  return routeErrors.has(error.name)
}

const routeErrors: ReadonlySet<ErrorName> = new Set<ErrorName>([
  'not_leader',
  'topic_not_found',
  'partition_not_found',
  'unreachable',
  'connection_lost',
  'timed_out',
  'shutting_down',
])

export function outcomeUnknown(cause: MqError): MqError {
  if (cause.name === 'outcome_unknown') return cause
  const what = `the message may have been stored: ${cause.name}, ${cause.what}`
  return new MqError('outcome_unknown', what, { cause })
}
