import type { Checker, History, Poll, Send, Violation } from '../history.ts'

/**
 * What one producer sent to one partition lies there in the order of sending. What one poll brings begins at the
 * offset that was asked for, or at the first one kept, and has no gap.
 */
export const order: Checker = (history) => [
  ...producersInOrder(history),
  ...pollsWithoutGaps(history),
]

function producersInOrder(history: History): Violation[] {
  const sends = new Map(history.sends.map((send) => [send.value, send]))
  const violations: Violation[] = []
  for (const [partition, { messages }] of history.final) {
    const last = new Map<string, Send>()
    for (const { value, offset } of messages) {
      const send = sends.get(value)
      // What ended unknown may have been stored by a late first attempt, but never behind what followed it.
      // A delayed message lies where its time came.
      if (send === undefined || send.delay !== undefined) continue
      const before = last.get(send.producer)
      if (before !== undefined && before.index > send.index) {
        const what = `${partition} at ${offset}: number ${send.index} of ${send.producer} lies behind number ${before.index}`
        violations.push({ checker: 'order', what })
      }
      last.set(send.producer, send)
    }
  }
  return violations
}

function pollsWithoutGaps({ polls, final }: History): Violation[] {
  const violations: Violation[] = []
  const finals = [...final].map(([partition, { low, high, messages }]): Poll => ({
    reader: 'the final reader',
    partition,
    from: low,
    messages,
    low,
    high,
    next: high,
    atMs: 0,
  }))
  for (const poll of [...polls, ...finals]) {
    const gap = gapOf(poll)
    if (gap === undefined) continue
    violations.push({ checker: 'order', what: `${poll.reader} in ${poll.partition}: ${gap}` })
  }
  return violations
}

function gapOf({ from, messages, next }: Poll): string | undefined {
  let expected = from
  for (const { offset } of messages) {
    if (offset !== expected) return `offset ${offset} came where ${expected} was due`
    expected += 1
  }
  return next === expected
    ? undefined
    : `reading goes on at ${next}, the last offset was ${expected - 1}`
}
