import type { OutgoingMessage } from '@popmq/client'
import { MqError } from '@popmq/protocol'

/** How a line becomes a message. */
export interface LineMessageOptions {
  readonly topic: string
  readonly partition?: number
  readonly headers?: Readonly<Record<string, string>>
  readonly delayMs?: number
  /** Ms since 1970. */
  readonly deliverAt?: number
  /** The field of the line's object whose value is the key, the tag, the dedup id. */
  readonly key?: string
  readonly tag?: string
  readonly dedup?: string
}

/**
 * The message of one line: its value is the line's JSON. `where` names the line in errors.
 *
 * A line without the field for the key or the dedup id is refused, for its order or its uniqueness would be lost
 * without a word; one without the field for the tag has no tag.
 * @throws MqError `invalid_request`
 */
export function lineMessage(
  text: string,
  where: string,
  options: LineMessageOptions,
): OutgoingMessage {
  const value = parseJson(text, where)
  const { topic, partition, headers, delayMs, deliverAt } = options
  const key = options.key === undefined ? undefined : needed(value, options.key, where)
  const tag = options.tag === undefined ? undefined : field(value, options.tag, where)
  const dedupId = options.dedup === undefined ? undefined : needed(value, options.dedup, where)
  return {
    topic,
    value,
    ...(partition === undefined ? {} : { partition }),
    ...(headers === undefined ? {} : { headers }),
    ...(delayMs === undefined ? {} : { delayMs }),
    ...(deliverAt === undefined ? {} : { deliverAt }),
    ...(key === undefined ? {} : { key }),
    ...(tag === undefined ? {} : { tag }),
    ...(dedupId === undefined ? {} : { dedupId }),
  }
}

function parseJson(text: string, where: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new MqError('invalid_request', `${where} is not JSON: ${why}`, { cause })
  }
}

function needed(value: unknown, name: string, where: string): string {
  const found = field(value, name, where)
  if (found === undefined)
    throw new MqError('invalid_request', `${where} has no field ${JSON.stringify(name)}`)
  return found
}

/** @returns undefined when the field is absent or null */
function field(value: unknown, name: string, where: string): string | undefined {
  const isObject = typeof value === 'object' && value !== null && Object.hasOwn(value, name)
  const found: unknown = isObject ? (value as Record<string, unknown>)[name] : undefined
  if (found === undefined || found === null) return undefined
  if (typeof found === 'string') return found
  if (typeof found === 'number' || typeof found === 'boolean') return String(found)
  throw new MqError(
    'invalid_request',
    `${where}: field ${JSON.stringify(name)} must be text, a number or a boolean`,
  )
}
