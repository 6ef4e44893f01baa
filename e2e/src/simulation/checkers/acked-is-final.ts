import type { Handed, Settle } from '../delivery-history.ts'
import type { Checker } from '../history.ts'
import { copyName, type MessageStory, storiesOf, tellHanded } from './message-story.ts'

/**
 * A message whose ack was answered `acked`, or that was told to be dead, is not handed out again to that group, and a
 * copy that was told to be retried is not handed out itself; but for a reset.
 */
export const ackedIsFinal: Checker = ({ delivery }) =>
  delivery === undefined
    ? []
    : storiesOf(delivery).flatMap((story) =>
        judged(story).map((what) => ({
          checker: 'acked-is-final',
          what: `${story.name}: ${what}`,
        })),
      )

function judged(story: MessageStory): string[] {
  return story.settles.flatMap((settle) => {
    const { result } = settle
    if (result !== 'acked' && result !== 'dead' && result !== 'retrying') return []
    const again = story.handed.find((handed) => isAgain(story, settle, handed))
    if (again === undefined) return []
    return [
      `${result} of what ${tellHanded(settle.handed)} had, and then ${tellHanded(again)} had it`,
    ]
  })
}

function isAgain(
  story: MessageStory,
  { handed: settled, answeredMs, result }: Settle,
  handed: Handed,
): boolean {
  if (handed.askedMs <= answeredMs) return false
  if (result === 'retrying' && copyName(handed) !== copyName(settled)) return false
  return handed.generation === settled.generation || !story.mayBeReopened(handed.atMs)
}
