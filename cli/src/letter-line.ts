import type { DeadLetter, FailedAttempt, ShownLetter } from '@popmq/client'
import { formatDuration } from './duration.ts'
import { type MessageLine, messageLine } from './message-line.ts'
import { timeText } from './outcomes.ts'
import { oneLine } from './output.ts'
import { formatTable } from './table.ts'

/** A dead letter as `dlq list --json` prints it. */
export interface LetterLine {
  readonly id: string
  readonly messageId: string
  readonly fingerprint: string
  readonly errorType: string | null
  readonly error: string | null
  readonly attempts: number
  /** Ms since 1970. */
  readonly diedAt: number
  readonly state: DeadLetter['state']
  /** Where its message was. */
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly key: string | null
}

export function letterLine(letter: DeadLetter): LetterLine {
  const { id, messageId, fingerprint, attempts, diedAt, state, topic, partition, offset } = letter
  const error = { errorType: letter.errorType ?? null, error: letter.error ?? null }
  const place = { topic, partition, offset, key: letter.key ?? null }
  return { id, messageId, fingerprint, ...error, attempts, diedAt, state, ...place }
}

/** As `dlq show --json` prints it. */
export type ShownLetterLine = LetterLine & {
  readonly cause: string
  readonly tag: string | null
  readonly history: readonly FailedAttempt[]
  readonly message: MessageLine
}

/** @throws MqError `corrupt_record` when the value is not what it says */
export function shownLetterLine(letter: ShownLetter): ShownLetterLine {
  const { cause, tag, history, message } = letter
  return {
    ...letterLine(letter),
    cause,
    tag: tag ?? null,
    history,
    message: messageLine(message),
  }
}

const mostValueChars = 2_000

/** All of one letter for people: what happened, why, where it comes from, its attempts. */
export function letterDetail(letter: ShownLetter): string {
  const { id, state, diedAt, cause, fingerprint, topic, partition, offset, history } = letter
  const { message, key, tag } = letter
  const attempts = `${letter.attempts} ${letter.attempts === 1 ? 'attempt' : 'attempts'}`
  const error = [letter.errorType, letter.error].filter((word) => word !== undefined).join(': ')
  const origin = `${topic}-${partition}@${offset}, appended ${timeText(message.appendedAt)}`
  const fields = [
    ['letter', `${id}, ${state}; died ${timeText(diedAt)} after ${attempts} (${cause})`],
    ['error', error === '' ? '-' : error],
    ['fingerprint', fingerprint],
    ['origin', origin],
    ['message', letter.messageId],
    ['key', key ?? '-'],
    ['tag', tag ?? '-'],
    ...Object.entries(message.headers).map(([name, value]) => ['header', `${name}=${value}`]),
    ['value', valueText(letter)],
  ]
  const lines = fields.map(([name = '', text = '']) => `${name.padEnd(11)}  ${oneLine(text)}`)
  return [...lines, ...stackLines(history), attemptsTable(history)].join('\n').trimEnd()
}

/** Of the last attempt that told one. */
function stackLines(history: readonly FailedAttempt[]): string[] {
  const stack = history.findLast(({ error }) => error?.stack !== undefined)?.error?.stack
  if (stack === undefined) return []
  return ['stack', ...stack.split('\n').map((line) => `  ${oneLine(line)}`)]
}

function attemptsTable(history: readonly FailedAttempt[]): string {
  if (history.length === 0) return ''
  return formatTable(
    ['n', 'when', 'held', 'consumer', 'outcome', 'error'],
    history.map(({ n, at, heldMs, consumer, outcome, error, fingerprint }) => [
      String(n),
      timeText(at),
      formatDuration(Math.round(heldMs)),
      oneLine(consumer ?? '-'),
      outcome,
      attemptError(error, fingerprint),
    ]),
  )
}

/** Only the first and the last attempt tell their error whole: of the others it is known whether it was the same. */
function attemptError(error: FailedAttempt['error'], fingerprint: string | undefined): string {
  const words = [error?.type, error?.message].filter((word) => word !== undefined)
  return oneLine(words.length === 0 ? (fingerprint ?? '-') : words.join(': '))
}

function valueText({ message }: ShownLetter): string {
  const { value, encoding } = messageLine(message)
  const text = encoding === 'base64' ? `base64:${String(value)}` : JSON.stringify(value)
  if (text.length <= mostValueChars) return text
  return `${text.slice(0, mostValueChars)}… (${text.length} characters; all with --json)`
}
