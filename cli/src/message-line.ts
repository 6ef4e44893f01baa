import type { Message, PoppedMessage } from '@popmq/client'
import { oneLine } from './output.ts'

/** A message as `--json` prints it. Bytes are base64, told by `encoding`; text and JSON have no `encoding`. */
export interface MessageLine {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly id: string
  readonly key: string | null
  readonly tag: string | null
  readonly value: unknown
  readonly encoding?: 'base64'
  readonly headers: Readonly<Record<string, string>>
  readonly attempt: number
  /** Ms since 1970. */
  readonly appendedAt: number
}

/** @throws MqError `corrupt_record` when the value is not what it says */
export function messageLine(message: Message): MessageLine {
  const { topic, partition, offset, id, key, tag, value, headers, attempt, appendedAt } = message
  const isBytes = value instanceof Uint8Array
  return {
    topic,
    partition,
    offset,
    id,
    key: key ?? null,
    tag: tag ?? null,
    value: isBytes
      ? Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64')
      : value,
    ...(isBytes ? { encoding: 'base64' } : {}),
    headers,
    attempt,
    appendedAt,
  }
}

/** The same with the handle by which it is settled. */
export function poppedLine(message: PoppedMessage): MessageLine & { readonly handle: string } {
  return { ...messageLine(message), handle: message.handle }
}

/** For people: `orders-3@17 2026-01-01T00:00:00.000Z o-17 paid {"total":42}`. */
export function messageText(message: Message): string {
  const { topic, partition, offset, appendedAt, key, tag, value, encoding } = messageLine(message)
  const shown = encoding === 'base64' ? `base64:${String(value)}` : JSON.stringify(value)
  const words = [
    `${topic}-${partition}@${offset}`,
    new Date(appendedAt).toISOString(),
    key ?? '-',
    tag ?? '-',
    shown,
  ]
  return oneLine(words.join(' '))
}

/** All of one message, a line per field. */
export function messageDetail(message: Message): string {
  return Object.entries({ ...messageLine(message), bornAt: message.bornAt })
    .map(([name, field]) => `${name.padEnd(10)}  ${oneLine(shownField(name, field))}`)
    .join('\n')
}

function shownField(name: string, field: unknown): string {
  if (field === null) return '-'
  if (typeof field === 'number' && name.endsWith('At')) return new Date(field).toISOString()
  return typeof field === 'string' && name !== 'value' ? field : JSON.stringify(field)
}
