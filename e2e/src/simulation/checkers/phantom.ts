import {
  type Checker,
  type History,
  type Poll,
  type Send,
  topicIdOf,
  type Violation,
} from '../history.ts'
import { allowedLows, type Sighting, sightings } from './sighting.ts'

/**
 * What is read was sent, exactly once, and stays: nothing appears that nobody sent or whose sending failed, nothing
 * twice, nothing vanishes but by what was asked for, and the bounds of a partition never go back.
 */
export const phantom: Checker = (history) => [
  ...unsent(history),
  ...twice(history),
  ...vanished(history),
  ...boundsGoingBack(history),
  ...sameDedupId(history),
]

function unsent(history: History): Violation[] {
  const sends = new Map(history.sends.map((send) => [send.value, send]))
  const violations = new Map<string, Violation>()
  for (const { value, partition, offset, reader } of sightings(history)) {
    const send = sends.get(value)
    const topic = history.topics.get(topicIdOf(partition))?.name
    const why = whyNot(send, topic)
    if (why === undefined) continue
    const what = `${reader} read ${short(value)} in ${partition} at ${offset}, which ${why}`
    violations.set(value, { checker: 'phantom', what })
  }
  return [...violations.values()]
}

function whyNot(send: Send | undefined, topic: string | undefined): string | undefined {
  if (send === undefined) return 'nobody sent'
  if (send.state === 'failed') return `was told to have failed (${send.error})`
  if (send.receipt?.duplicate === true) return 'was told to be a duplicate'
  return topic === undefined || topic === send.topic ? undefined : `was sent to ${send.topic}`
}

/** One value has one place; a value that was read is not read elsewhere. */
function twice(history: History): Violation[] {
  const places = new Map<string, string>()
  const violations = new Map<string, Violation>()
  for (const { value, partition, offset } of sightings(history)) {
    const place = `${partition} at ${offset}`
    const first = places.get(value)
    if (first === undefined) places.set(value, place)
    else if (first !== place) {
      violations.set(value, {
        checker: 'phantom',
        what: `${short(value)} lies in ${first} and in ${place}`,
      })
    }
  }
  return [...violations.values()]
}

function vanished(history: History): Violation[] {
  const lows = allowedLows(history)
  const violations = new Map<string, Violation>()
  for (const seen of sightings(history)) {
    const final = history.final.get(seen.partition)
    // A partition that is not there at the end belongs to a deleted topic.
    if (final === undefined) continue
    const topic = history.topics.get(topicIdOf(seen.partition))
    const low =
      topic?.expires === true ? final.low : Math.min(final.low, lows.get(seen.partition) ?? 0)
    if (seen.offset < low || final.messages[seen.offset - final.low]?.offset === seen.offset)
      continue
    violations.set(`${seen.partition} ${seen.offset}`, {
      checker: 'phantom',
      what: tellVanished(seen),
    })
  }
  return [...violations.values()]
}

function tellVanished({ reader, value, partition, offset }: Sighting): string {
  return `${reader} read ${short(value)} in ${partition} at ${offset}, which is not there at the end`
}

/** Each reader asks one thing at a time, so the bounds it is told never go back. */
function boundsGoingBack({ polls }: History): Violation[] {
  const last = new Map<string, Poll>()
  const violations: Violation[] = []
  for (const poll of polls) {
    const name = `${poll.reader} ${poll.partition}`
    const before = last.get(name)
    last.set(name, poll)
    if (before === undefined || (poll.low >= before.low && poll.high >= before.high)) continue
    const what = `${poll.reader} was told ${before.low} to ${before.high} of ${poll.partition}, then ${poll.low} to ${poll.high}`
    violations.push({ checker: 'phantom', what })
  }
  return violations
}

/** Within the window of its topic a dedup id is stored once. */
function sameDedupId(history: History): Violation[] {
  const sends = new Map(history.sends.map((send) => [send.value, send]))
  const violations: Violation[] = []
  for (const [partition, { messages }] of history.final) {
    const windowMs = history.topics.get(topicIdOf(partition))?.dedupWindowMs ?? 0
    const last = new Map<string, number>()
    for (const { value, appendedAt, offset } of messages) {
      const dedupId = sends.get(value)?.dedupId
      if (dedupId === undefined) continue
      const before = last.get(dedupId)
      last.set(dedupId, appendedAt)
      if (before === undefined || appendedAt - before >= windowMs) continue
      const what = `${partition} at ${offset}: dedup id ${dedupId} is stored again after ${appendedAt - before} ms`
      violations.push({ checker: 'phantom', what })
    }
  }
  return violations
}

function short(value: string): string {
  return value.replace(/\.+$/, '')
}
