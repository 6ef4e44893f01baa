import { placeName, type ShownLetter } from '../delivery-history.ts'
import type { Checker } from '../history.ts'
import { type MessageStory, storiesOf } from './message-story.ts'

/**
 * Whoever was told that a message is dead finds its letter, and one only; each letter tells every delivery, one after the
 * other from the first on, and what consumers said about them.
 */
export const deadTold: Checker = ({ delivery }) => {
  const letters = delivery?.ends.at(-1)?.letters
  if (delivery === undefined || letters === undefined) return []
  const byPlace = new Map<string, ShownLetter[]>()
  for (const letter of letters) {
    const name = placeName(letter)
    byPlace.set(name, [...(byPlace.get(name) ?? []), letter])
  }
  const found = [
    ...letters.flatMap((letter) => gaps(letter)),
    ...storiesOf(delivery).flatMap((story) => missing(story, byPlace.get(story.name) ?? [])),
  ]
  return found.map((what) => ({ checker: 'dead-told', what }))
}

function gaps(letter: ShownLetter): string[] {
  const { told, attempts } = letter
  const numbers = told.map(({ n }) => n)
  const isDense = numbers.every((n, index) => n === index + 1) && numbers.length === attempts
  if (isDense) return []
  return [
    `${placeName(letter)} died after ${attempts} deliveries and tells ${numbers.join() || 'none'}`,
  ]
}

function missing(story: MessageStory, letters: readonly ShownLetter[]): string[] {
  // What was delivered anew has a new past.
  if (story.resets.length > 0) return []
  const { name, settles } = story
  const found: string[] = []
  if (letters.length > 1) found.push(`${name} has ${letters.length} letters`)
  const isDead = settles.some(({ result }) => result === 'dead')
  const [letter] = letters
  if (letter === undefined)
    return isDead ? [...found, `${name} was told to be dead and is not`] : found
  if (settles.some(({ result }) => result === 'acked'))
    found.push(`${name} was acknowledged and is dead`)
  for (const settle of settles) {
    const { result, handed } = settle
    if (result !== 'retrying' && result !== 'dead') continue
    if (!letter.told.some((each) => isTold(story, settle, each)))
      found.push(
        `${name}: its letter does not tell how delivery ${handed.attempt} ended (${result})`,
      )
  }
  return found
}

function isTold(
  story: MessageStory,
  { handed, isRetriable, answeredMs }: MessageStory['settles'][number],
  { n, consumer, outcome }: ShownLetter['told'][number],
): boolean {
  if (outcome !== (isRetriable ? 'nack' : 'rejected')) return false
  // Of a lease that was lost with a crash nobody knows who had it, or which delivery it was.
  const [first = handed] = story.handed
  if (story.hasLifeEnd(first.askedMs, answeredMs) && n <= handed.attempt) return true
  return n === handed.attempt && consumer === handed.consumer
}
