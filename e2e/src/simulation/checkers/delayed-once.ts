import type { DelayChange, DeliveryHistory } from '../delivery-history.ts'
import type { Checker, History } from '../history.ts'
import { changesOf, type DelayedSend, delayedSends } from './delayed-story.ts'
import { allowedLows, sightings } from './sighting.ts'

/**
 * A delayed message becomes visible exactly once; not at all when it was cancelled. Who cancels or moves one is told what
 * became of it.
 */
export const delayedOnce: Checker = (history) => {
  const { delivery } = history
  if (delivery === undefined) return []
  const copies = copiesOf(history, delivery)
  const lows = allowedLows(history)
  return delayedSends(history, delivery).flatMap((message) => {
    const { send, partition } = message
    const own = copies.get(send.value) ?? new Set()
    const why = whyNot(changesOf(delivery, message), {
      copies: own.size,
      mayBeGone: (lows.get(partition) ?? 0) > 0,
      mayBeLost: mayBeLost(history, message),
    })
    if (why === undefined) return []
    const what = `${send.value.replace(/\.+$/, '')} (${message.number} for ${partition}) ${why}`
    return [{ checker: 'delayed-once', what }]
  })
}

interface Fate {
  /** In how many places it was seen. */
  readonly copies: number
  /** Something of its partition was purged. */
  readonly mayBeGone: boolean
  readonly mayBeLost: boolean
}

function whyNot(
  changes: readonly DelayChange[],
  { copies, mayBeGone, mayBeLost }: Fate,
): string | undefined {
  const cancels = changes.filter(({ deliverAt }) => deliverAt === undefined)
  const told = (word: string): boolean => changes.some(({ result }) => result === word)
  const isCancelled = cancels.some(({ result }) => result === 'done')
  if (copies > 1) return `became visible ${copies} times`
  if (copies === 1 && isCancelled) return 'was cancelled, and became visible'
  if (isUnknownTooSoon(changes) && !mayBeLost) return 'was told to be unknown, and was there'
  if (copies === 1 || mayBeGone || mayBeLost) return undefined
  if (told('delivered')) return 'was told to be delivered, and nobody saw it'
  const mayBeCancelled = cancels.some(
    ({ result }) => result === 'done' || result === undefined || result === 'unknown',
  )
  return mayBeCancelled ? undefined : 'never became visible'
}

/** Unknown is what was cancelled, and that is asked for first. */
function isUnknownTooSoon(changes: readonly DelayChange[]): boolean {
  return changes.some(
    ({ result, answeredMs }, index) =>
      result === 'unknown' &&
      !changes.some(
        (other, at) =>
          at !== index &&
          other.deliverAt === undefined &&
          other.askedMs < answeredMs &&
          (other.result === 'done' || other.result === undefined),
      ),
  )
}

/** `received` is no promise when the broker dies. */
function mayBeLost({ crashes }: History, { send, node }: DelayedSend): boolean {
  return (
    send.acks === 'received' &&
    crashes.some((crash) => crash.node === node && crash.atMs >= send.invokedMs)
  )
}

function copiesOf(history: History, { handed }: DeliveryHistory): Map<string, Set<string>> {
  const copies = new Map<string, Set<string>>()
  const seen = (value: string, place: string): void => {
    const places = copies.get(value) ?? new Set()
    copies.set(value, places.add(place))
  }
  for (const { value, partition, offset } of sightings(history))
    seen(value, `${partition}@${offset}`)
  for (const { value, partition, offset } of handed) seen(value, `${partition}@${offset}`)
  return copies
}
