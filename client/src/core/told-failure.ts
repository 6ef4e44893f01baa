import { type Failure, limits } from '@popmq/protocol'

const encoder = new TextEncoder()
const decoder = new TextDecoder()
const ellipsis = '…'
const ellipsisBytes = 3

/**
 * Anything that was thrown, as it is told to a broker: texts shortened to their limits, and well-formed.
 * @returns undefined for undefined and null: nothing to tell
 */
export function toldFailure(error: unknown): Failure | undefined {
  if (error === undefined || error === null) return undefined
  if (typeof error !== 'object') return { message: shortened(textFor(error), limits.errorBytes) }
  const type = textOf(error, 'type') ?? textOf(error, 'name') ?? classOf(error)
  const message = textOf(error, 'message')
  const stack = textOf(error, 'stack')
  if (message === undefined && stack === undefined && textOf(error, 'type') === undefined) {
    return { message: shortened(jsonOf(error), limits.errorBytes) }
  }
  return {
    ...(type === undefined ? {} : { type: shortened(type, limits.errorTypeBytes) }),
    ...(message === undefined ? {} : { message: withCause(message, read(error, 'cause')) }),
    ...(stack === undefined ? {} : { stack: shortened(stack, limits.errorBytes) }),
  }
}

/** What a handler threw: also undefined and null are told. */
export function toldThrown(thrown: unknown): Failure {
  return toldFailure(thrown) ?? { message: `${String(thrown)} was thrown` }
}

/** The first `mostBytes` bytes of UTF-8 of a text, ending with … when there were more; lone surrogates are replaced. */
export function shortened(text: string, mostBytes: number): string {
  // A character takes a byte at least: what lies beyond cannot fit, and need not be looked at.
  const bytes = encoder.encode(text.slice(0, mostBytes + 1))
  if (bytes.length <= mostBytes) return decoder.decode(bytes)
  let end = mostBytes - ellipsisBytes
  // Not between the bytes of one character.
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1
  return decoder.decode(bytes.subarray(0, end)) + ellipsis
}

/** The room of the cause is kept: a long message does not hide why. */
function withCause(message: string, cause: unknown): string {
  const why = causeText(cause)
  if (why === undefined) return shortened(message, limits.errorBytes)
  const end = ` (cause: ${shortened(why, limits.errorBytes / 4)})`
  return shortened(message, limits.errorBytes - encoder.encode(end).length) + end
}

function causeText(cause: unknown): string | undefined {
  if (cause === undefined || cause === null) return undefined
  return typeof cause === 'object' ? textOf(cause, 'message') : textFor(cause)
}

/** Of what is no object. */
function textFor(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return value
    case 'number':
    case 'bigint':
    case 'boolean':
    case 'symbol':
      return String(value)
    case 'undefined':
    case 'object':
    case 'function':
      return `a ${typeof value}`
  }
}

function classOf(error: object): string | undefined {
  const maker = read(error, 'constructor')
  return typeof maker === 'function' && maker !== Object ? maker.name : undefined
}

function textOf(from: object, name: string): string | undefined {
  const value = read(from, name)
  return typeof value === 'string' && value !== '' ? value : undefined
}

/** What was thrown may be anything: a getter that throws has nothing to tell. */
function read(from: object, name: string): unknown {
  try {
    return (from as Record<string, unknown>)[name]
  } catch {
    return undefined
  }
}

function jsonOf(value: object): string {
  try {
    return JSON.stringify(value) ?? 'an object'
  } catch {
    return 'an object without a JSON form'
  }
}
