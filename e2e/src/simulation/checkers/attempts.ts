import type { Handed } from '../delivery-history.ts'
import type { Checker } from '../history.ts'
import { type MessageStory, storiesOf, tellHanded } from './message-story.ts'

/**
 * No delivery has a number above what the policy allows, but for leases that operators took away. Numbers grow with each
 * delivery, unless one was given back, an operator took away the last one, or a crash came before its
 * record was synced.
 */
export const attempts: Checker = ({ delivery }) =>
  delivery === undefined
    ? []
    : storiesOf(delivery).flatMap((story) =>
        [...tooMany(story), ...notGrowing(story)].map((what) => ({
          checker: 'attempts',
          what: `${story.name}: ${what}`,
        })),
      )

function tooMany({ handed, takeBacks, maxAttempts }: MessageStory): string[] {
  return handed.flatMap((each) => {
    const allowed = maxAttempts + takeBacks.filter(({ askedMs }) => askedMs < each.atMs).length
    return each.attempt <= allowed ? [] : [`${tellHanded(each)}: ${maxAttempts} are allowed`]
  })
}

function notGrowing(story: MessageStory): string[] {
  const found: string[] = []
  for (const [index, first] of story.handed.entries()) {
    for (const second of story.handed.slice(index + 1)) {
      if (second.attempt > first.attempt || isExplained(story, first, second)) continue
      found.push(`${tellHanded(first)}, and then ${tellHanded(second)}`)
    }
  }
  return found
}

function isExplained(story: MessageStory, first: Handed, second: Handed): boolean {
  // Their pops were under way at once: the second may have been granted first.
  if (second.askedMs <= first.atMs && second.attempt < first.attempt) return true
  if (story.hasLifeEnd(first.askedMs, second.atMs)) return true
  if (first.generation !== second.generation && story.mayBeReopened(second.atMs)) return true
  // The last delivery does not count when an operator takes it away.
  const isLast = second.attempt === story.maxAttempts && first.attempt === second.attempt
  if (isLast && story.takeBacks.some(({ askedMs }) => askedMs < second.atMs)) return true
  return story.settles.some(({ verb, askedMs }) => verb === 'release' && askedMs < second.atMs)
}
