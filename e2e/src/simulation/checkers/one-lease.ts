import type { Handed } from '../delivery-history.ts'
import type { Checker } from '../history.ts'
import { type MessageStory, storiesOf, tellHanded } from './message-story.ts'

/**
 * Within one life of a broker no two consumers hold a message at once: it is handed out again only after its lease has
 * ended, was given back or taken away, or failed; or after a reset.
 */
export const oneLease: Checker = ({ delivery }) =>
  delivery === undefined
    ? []
    : storiesOf(delivery).flatMap((story) =>
        judged(story).map((what) => ({ checker: 'one-lease', what: `${story.name}: ${what}` })),
      )

function judged(story: MessageStory): string[] {
  const found: string[] = []
  for (const [index, first] of story.handed.entries()) {
    for (const second of story.handed.slice(index + 1)) {
      if (!areAtOnce(story, first, second)) continue
      found.push(`${tellHanded(first)} and ${tellHanded(second)} had it at once`)
    }
  }
  return found
}

/** Which of two was granted first is not known when their pops were under way at the same time. */
function areAtOnce(story: MessageStory, first: Handed, second: Handed): boolean {
  const fromMs = Math.min(first.askedMs, second.askedMs)
  const untilMs = Math.max(first.atMs, second.atMs)
  if (story.hasLifeEnd(fromMs, untilMs)) return false
  if (first.generation !== second.generation && story.mayBeReopened(untilMs)) return false
  const holds = (a: Handed, b: Handed): boolean =>
    b.atMs < story.leaseEnd(a, b.atMs) - 1 && !story.mayBeGivenBack(a, b.atMs)
  return holds(first, second) && (first.atMs < second.askedMs || holds(second, first))
}
