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
  for (const { result, handed, isRetriable } of settles) {
    if (result !== 'retrying' && result !== 'dead') continue
    const outcome = isRetriable ? 'nack' : 'rejected'
    const isTold = letter.told.some(
      (each) =>
        each.n === handed.attempt && each.outcome === outcome && each.consumer === handed.consumer,
    )
    if (!isTold) found.push(`${name}: its letter tells no ${outcome} of delivery ${handed.attempt}`)
  }
  return found
}
