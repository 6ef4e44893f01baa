import { limits, type PartitionNumber, type TopicId } from '@popmq/protocol'

/**
 * A receipt handle as text: `<topic id>.<partition>.<number>.<lease>`. The number is an offset, or the held number of a
 * retried message; the lease is base64url of what only the broker reads.
 */
export interface HandleParts {
  readonly topicId: TopicId
  readonly partition: PartitionNumber
  readonly number: number
  /** base64url */
  readonly lease: string
}

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
const sextets = new Map(Array.from(alphabet, (letter, index) => [letter, index]))
const pattern = /^([1-9]\d{0,9})\.(\d{1,4})\.(\d{1,16})\.([A-Za-z0-9_-]{1,171})$/
const mostTopicId = 0xffff_ffff

export function formatHandle({ topicId, partition, number, lease }: HandleParts): string {
  return `${topicId}.${partition}.${number}.${lease}`
}

/** @returns undefined for text that is no handle */
export function parseHandle(text: unknown): HandleParts | undefined {
  const found = typeof text === 'string' ? pattern.exec(text) : null
  if (found === null) return undefined
  const [topicId, partition, number] = [Number(found[1]), Number(found[2]), Number(found[3])]
  const lease = found[4] ?? ''
  if (topicId > mostTopicId || partition >= limits.partitionsPerTopic) return undefined
  if (!Number.isSafeInteger(number) || lease.length % 4 === 1) return undefined
  return { topicId: topicId as TopicId, partition: partition as PartitionNumber, number, lease }
}

export function formatLease(bytes: Uint8Array): string {
  let text = ''
  for (let at = 0; at < bytes.length; at += 3) {
    const count = Math.min(3, bytes.length - at)
    const three = ((bytes[at] ?? 0) << 16) | ((bytes[at + 1] ?? 0) << 8) | (bytes[at + 2] ?? 0)
    for (let index = 0; index <= count; index += 1) {
      text += alphabet[(three >> (18 - 6 * index)) & 63] ?? ''
    }
  }
  return text
}

/** The bytes of the lease of a parsed handle. */
export function parseLease(text: string): Uint8Array {
  const bytes = new Uint8Array(Math.floor((text.length * 3) / 4))
  let held = 0
  let bits = 0
  let at = 0
  for (const letter of text) {
    held = ((held << 6) | (sextets.get(letter) ?? 0)) & 0xffff
    bits += 6
    if (bits < 8) continue
    bits -= 8
    bytes[at] = (held >> bits) & 0xff
    at += 1
  }
  return bytes
}
