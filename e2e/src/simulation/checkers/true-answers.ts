import { isHeldNumber } from '@popmq/protocol'
import type { DeliveryHistory, Settle } from '../delivery-history.ts'
import type { Checker, History, Removal } from '../history.ts'
import { copyName, type MessageStory, storiesOf, tellHanded } from './message-story.ts'

/** What a consumer is told about a handle is what happened. */
export const trueAnswers: Checker = (history) => {
  const { delivery } = history
  if (delivery === undefined) return []
  const found = storiesOf(delivery).flatMap((story) =>
    [...settledTwice(story), ...untrue(story, history)].map((what) => `${story.name}: ${what}`),
  )
  return [...found, ...badHandles(delivery), ...diedWithReset(delivery)].map((what) => {
    return { checker: 'true-answers', what }
  })
}

const settling = new Set<string | undefined>(['acked', 'retrying', 'dead'])

function settledTwice(story: MessageStory): string[] {
  const first = new Map<string, Settle>()
  const found: string[] = []
  for (const settle of story.settles) {
    if (!settling.has(settle.result)) continue
    const copy = copyName(settle.handed)
    const before = first.get(copy)
    if (before === undefined) first.set(copy, settle)
    else found.push(`${tell(before)}, and then ${tell(settle)}`)
  }
  return found
}

function untrue(story: MessageStory, history: History): string[] {
  return story.settles.flatMap((settle) => {
    const why = whyNot(story, settle, history)
    return why === undefined ? [] : [`${tell(settle)}, ${why}`]
  })
}

function whyNot(story: MessageStory, settle: Settle, { removals }: History): string | undefined {
  const { result, handed, isRetriable } = settle
  const isLast = handed.attempt >= story.maxAttempts
  switch (result) {
    case 'retrying':
      return isRetriable && !isLast ? undefined : 'though it was to be given up'
    case 'dead':
      return isRetriable && !isLast ? 'though it was to be tried again' : undefined
    case 'already':
      return mayBeSettled(story, settle, removals) ? undefined : 'and nobody had settled it'
    case 'expired':
      return mayBeOver(story, settle) ? undefined : 'and its lease was not over'
    case 'unknown':
    case 'foreign':
      return 'and it was a good handle'
    case 'acked':
    case 'extended':
    case 'released':
    case undefined:
      return undefined
  }
}

/** By another request, by its own end, by an operator, or because it is not kept any more. */
function mayBeSettled(story: MessageStory, settle: Settle, removals: readonly Removal[]): boolean {
  const { handed, answeredMs } = settle
  const { number, partition, offset } = handed
  const isByAnother = story.settles.some(
    (other) =>
      other !== settle &&
      other.askedMs < answeredMs &&
      copyName(other.handed) === copyName(handed) &&
      (other.verb === 'ack' || other.verb === 'nack') &&
      (other.result === undefined || settling.has(other.result) || other.answeredMs > answeredMs),
  )
  const isOver =
    story.leaseEnd(handed, answeredMs) <= answeredMs + 1 || story.mayBeGivenBack(handed, answeredMs)
  const isMoved = isOver && isLast(story, settle)
  const isGivenUp = story.retryChanges.some(
    (change) => change.number === number && change.to === 'dead' && change.askedMs < answeredMs,
  )
  const isVoid = isHeldNumber(number) && story.mayBeReopened(answeredMs)
  const isPurged =
    story.hasLifeEnd(handed.askedMs, answeredMs) &&
    removals.some(
      (removal) =>
        removal.kind === 'purge' && removal.partition === partition && removal.before > offset,
    )
  return isByAnother || isMoved || isGivenUp || isVoid || isPurged
}

/** Whether the end of a lease of this copy, which nobody may have seen, can have moved it. */
function isLast(story: MessageStory, { handed, answeredMs }: Settle): boolean {
  const copy = copyName(handed)
  const most = Math.min(story.maxAttempts, leastExpiries)
  return (
    story.takeBacks.length > 0 ||
    story.hasUnseenPop(handed.askedMs, answeredMs) ||
    story.handed.some((each) => copyName(each) === copy && each.attempt >= most)
  )
}

/** Deliveries without an answer after which a message is moved. */
const leastExpiries = 3

function mayBeOver(story: MessageStory, { handed, answeredMs }: Settle): boolean {
  return (
    story.leaseEnd(handed, answeredMs) <= answeredMs + 1 ||
    story.about(handed, answeredMs).some(({ verb }) => verb === 'release') ||
    story.isTakenBack(handed.number, answeredMs) ||
    story.resets.some(({ askedMs }) => askedMs < answeredMs) ||
    story.hasLifeEnd(handed.askedMs, answeredMs)
  )
}

function badHandles({ badHandles: bad }: DeliveryHistory): string[] {
  return bad.flatMap(({ expected, result }) =>
    result === expected ? [] : [`a handle that is ${expected} was answered ${result}`],
  )
}

/** Once something of a partition was handed out after a reset, handles from before it are over. */
function diedWithReset({ handed, settles }: DeliveryHistory): string[] {
  const newest = new Map<string, { readonly generation: number; readonly atMs: number }[]>()
  for (const { group, partition, generation, atMs } of handed) {
    const name = `${group} ${partition}`
    const known = newest.get(name) ?? []
    newest.set(name, known)
    if (generation > (known.at(-1)?.generation ?? -1)) known.push({ generation, atMs })
  }
  return settles.flatMap((settle) => {
    const { handed: own, askedMs, result } = settle
    if (result === undefined || result === 'expired') return []
    const later = newest
      .get(`${own.group} ${own.partition}`)
      ?.some(({ generation, atMs }) => generation > own.generation && atMs < askedMs)
    return later === true ? [`${tell(settle)}, which was of before a reset`] : []
  })
}

function tell({ verb, consumer, handed, result, answeredMs }: Settle): string {
  return `${consumer} was told ${result} for the ${verb} at ${Math.round(answeredMs)} ms of what ${tellHanded(handed)} had`
}
