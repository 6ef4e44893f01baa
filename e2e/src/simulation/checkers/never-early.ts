import type { DeliveryHistory, Settle } from '../delivery-history.ts'
import type { Checker, History, Send } from '../history.ts'
import { changesOf, delayedSends } from './delayed-story.ts'
import { type MessageStory, storiesOf, tellHanded } from './message-story.ts'

/**
 * Nothing comes before its time: a delayed message not before the broker's clock, at its latest, says so; a retry not
 * before its back-off is over. A clock that is set forward makes waiting shorter: by half at most within one life of a
 * broker, and beyond a restart by as much as it was set.
 */
export const neverEarly: Checker = (history) => {
  const { delivery } = history
  if (delivery === undefined) return []
  const found = [
    ...delayed(history, delivery),
    ...storiesOf(delivery).flatMap((story) => retried(story)),
  ]
  return found.map((what) => ({ checker: 'never-early', what }))
}

function delayed(history: History, delivery: DeliveryHistory): string[] {
  const seen = firstSeen(history, delivery)
  return delayedSends(history, delivery).flatMap((message) => {
    const { send, node } = message
    const due = dueTime(message.send, changesOf(delivery, message))
    const there = seen.get(send.value)
    if (due === undefined || there === undefined) return []
    const { atMs, appendedAt } = there
    const skews = delivery.jumps.filter((jump) => jump.node === node && jump.atMs <= atMs)
    const latestMs = delivery.wallStartMs + atMs + Math.max(0, ...skews.map(({ skewMs }) => skewMs))
    const what = `${short(send.value)} is due at ${due}`
    if (appendedAt !== undefined && appendedAt < due)
      return [`${what} and has the append time ${appendedAt}`]
    return latestMs + 1 < due ? [`${what} and was seen at ${Math.floor(latestMs)}`] : []
  })
}

/** When a message is due, as far as that is certain. */
function dueTime(
  { delay, receipt }: Send,
  changes: DeliveryHistory['delayChanges'],
): number | undefined {
  if (delay === undefined || receipt === undefined) return undefined
  const moves = changes.filter(({ deliverAt }) => deliverAt !== undefined)
  const unsure = moves.some(({ result }) => result === undefined)
  if (unsure) return undefined
  const last = moves.findLast(({ result }) => result === 'done')
  if (last !== undefined) return last.deliverAt
  return 'deliverAt' in delay ? delay.deliverAt : receipt.appendedAt + delay.delayMs
}

interface Seen {
  readonly atMs: number
  readonly appendedAt: number | undefined
}

function firstSeen({ polls, final }: History, { handed }: DeliveryHistory): Map<string, Seen> {
  const seen = new Map<string, Seen>()
  const look = (value: string, at: Seen): void => {
    const before = seen.get(value)
    if (before === undefined) seen.set(value, at)
    else
      seen.set(value, {
        atMs: Math.min(before.atMs, at.atMs),
        appendedAt: before.appendedAt ?? at.appendedAt,
      })
  }
  for (const { value, atMs } of handed) look(value, { atMs, appendedAt: undefined })
  for (const { messages, atMs } of polls)
    for (const { value, appendedAt } of messages) look(value, { atMs, appendedAt })
  for (const { messages } of final.values())
    for (const { value, appendedAt } of messages)
      look(value, { atMs: Number.POSITIVE_INFINITY, appendedAt })
  return seen
}

function retried(story: MessageStory): string[] {
  return story.settles.flatMap((settle) => {
    if (settle.result !== 'retrying') return []
    const { handed, answeredMs } = settle
    const next = story.handed.find(
      (each) =>
        each.atMs > answeredMs &&
        each.attempt > handed.attempt &&
        each.generation === handed.generation,
    )
    if (next === undefined || isHurried(story, settle, next.atMs)) return []
    const waitedMs = next.atMs - settle.askedMs
    const leastMs = leastWait(story, settle, next.atMs)
    if (waitedMs + 1 >= leastMs) return []
    const what = `${tellHanded(next)} had it ${Math.round(waitedMs)} ms after the nack of ${tellHanded(handed)}`
    return [`${story.name}: ${what}, which was to wait ${leastMs} ms`]
  })
}

function leastWait(story: MessageStory, settle: Settle, atMs: number): number {
  const { handed, delayMs, askedMs } = settle
  const { backOffMs } = story
  const step = Math.min(handed.attempt, backOffMs.length) - 1
  const waitMs = delayMs ?? backOffMs[step] ?? 0
  if (!story.hasJump(atMs)) return waitMs
  return story.hasLifeEnd(askedMs, atMs) ? 0 : waitMs / 2
}

function isHurried(story: MessageStory, { askedMs }: Settle, atMs: number): boolean {
  return story.retryChanges.some(
    (change) => change.to === 'now' && change.askedMs < atMs && change.answeredMs > askedMs,
  )
}

function short(value: string): string {
  return value.replace(/\.+$/, '')
}
