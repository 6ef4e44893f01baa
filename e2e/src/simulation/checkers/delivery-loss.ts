import {
  type DeliveryEnd,
  type DeliveryHistory,
  placeName,
  type ToldState,
} from '../delivery-history.ts'
import type { Checker, History, Violation } from '../history.ts'
import { type MessageStory, storiesOf } from './message-story.ts'

/**
 * Once everything was popped, each message that is there was acknowledged or is dead, for every group; what is told of
 * their numbers adds up and agrees with what consumers saw; and a power cut changes nothing of it.
 */
export const deliveryLoss: Checker = (history) => {
  const { delivery } = history
  const last = delivery?.ends.at(-1)
  if (delivery === undefined || last === undefined) return []
  const stories = new Map(storiesOf(delivery).map((story) => [story.name, story]))
  const found: string[] = [...changed(delivery)]
  for (const state of last.states) {
    const place = { group: state.group, partition: state.partition }
    const messages = history.final.get(state.partition)?.messages ?? []
    const offsets = messages.map(({ offset }) => offset)
    const context = { state, last, delivery, stories, offsets }
    const what = [...uneven(context, history), ...lost(context), ...uncounted(context, history)]
    for (const each of what) found.push(`group ${place.group} in ${place.partition}: ${each}`)
  }
  return found.map((what): Violation => ({ checker: 'delivery-loss', what }))
}

interface Context {
  readonly state: ToldState
  readonly last: DeliveryEnd
  readonly delivery: DeliveryHistory
  readonly stories: ReadonlyMap<string, MessageStory>
  /** Of the messages that can be read. */
  readonly offsets: readonly number[]
}

/** What was told before the last power cut and after it is the same. */
function changed({ ends }: DeliveryHistory): string[] {
  const [before, after] = ends.slice(-2).map((end) => JSON.stringify(sorted(end)))
  return before === undefined || after === undefined || before === after
    ? []
    : [`before the power cut there was ${before}, after it ${after}`]
}

function sorted({ states, letters }: DeliveryEnd): string[] {
  const told = states.map(
    ({ group, partition, high, ready, leased, retrying, dead, acked, skipped }) =>
      `group ${group} in ${partition}: of ${high} ${ready} ready, ${leased} leased, ${retrying} retrying, ${dead} dead, ${acked} acked, ${skipped} skipped`,
  )
  const named = letters.map((letter) => `${placeName(letter)} ${letter.state}`)
  return [...told, ...named].toSorted()
}

function uneven({ state, last }: Context, history: History): string[] {
  const { high, ready, leased, retrying, parked, dead, acked, skipped, group, partition } = state
  const found: string[] = []
  const sum = ready + leased + retrying + parked + dead + acked + skipped
  const isFine = [ready, leased, retrying, parked, dead, acked, skipped].every((n) => n >= 0)
  if (sum !== high || !isFine) found.push(`its states ${JSON.stringify(state)} do not add up`)
  const end = history.final.get(partition)?.high
  if (end !== undefined && end !== high) found.push(`it ends at ${high} and at ${end}`)
  const open = last.letters.filter(
    (letter) => letter.group === group && letter.partition === partition && letter.state === 'open',
  )
  if (open.length !== dead) found.push(`${dead} are dead and ${open.length} letters are open`)
  if (ready + leased + retrying > 0) found.push(`something waits still: ${JSON.stringify(state)}`)
  return found
}

/** Messages that nobody can have acknowledged and that did not die either. */
function lost({
  state: { group, partition },
  last,
  delivery,
  stories,
  offsets,
}: Context): string[] {
  const resets = delivery.resets.filter(
    (reset) => reset.group === group && reset.partition === partition,
  )
  const newest = Math.max(
    0,
    ...delivery.handed
      .filter((each) => each.group === group && each.partition === partition)
      .map(({ generation }) => generation),
  )
  // What lies below where a reset went may have been passed by.
  const from = Math.max(0, ...resets.map(({ offset }) => offset))
  const letters = new Set(
    last.letters.filter(({ state }) => state !== 'reopened').map((letter) => placeName(letter)),
  )
  const missing = offsets.filter((offset) => {
    const name = placeName({ group, partition, offset })
    if (offset < from || letters.has(name)) return false
    return stories.get(name)?.settles.some((settle) => isAcked(settle, newest)) !== true
  })
  const [first] = missing
  if (first === undefined) return []
  return [`${missing.length} messages were neither acknowledged nor died, the first at ${first}`]
}

function isAcked(
  { verb, result, handed }: MessageStory['settles'][number],
  generation: number,
): boolean {
  if (verb !== 'ack' || handed.generation < generation) return false
  return result === 'acked' || result === undefined
}

/** Where nothing was passed by, the counts are those of the consumers. */
function uncounted({ state, delivery, stories, last }: Context, { removals }: History): string[] {
  const { group, partition, acked, skipped } = state
  const isReset = delivery.resets.some(
    (reset) => reset.group === group && reset.partition === partition,
  )
  if (isReset) return []
  const own = [...stories.values()].filter(
    ({ place }) => place.group === group && place.partition === partition,
  )
  const isAny = (
    { settles }: MessageStory,
    isIt: (result: string | undefined) => boolean,
  ): boolean => settles.some(({ verb, result }) => verb === 'ack' && isIt(result))
  const sure = own.filter((story) => isAny(story, (result) => result === 'acked')).length
  const most = own.filter((story) =>
    isAny(story, (result) => result === 'acked' || result === undefined),
  )
  const found: string[] = []
  if (acked < sure || acked > most.length)
    found.push(`${acked} count as acked, consumers know of ${sure} to ${most.length}`)
  const isPurged = removals.some(
    (removal) => removal.kind === 'purge' && removal.partition === partition,
  )
  const discarded = last.letters.filter(
    (letter) =>
      letter.group === group && letter.partition === partition && letter.state === 'discarded',
  ).length
  if (!isPurged && skipped !== discarded)
    found.push(`${skipped} were passed by, and ${discarded} were discarded`)
  return found
}
