import { MqError } from './errors.ts'
import { valueFormMask, valueForms } from './record-layout.ts'

const encoder = new TextEncoder()
const decoder = new TextDecoder()

/** A Uint8Array is stored as bytes, a string as text, anything else as JSON. */
export function formOf(value: unknown): number {
  if (value instanceof Uint8Array) return valueForms.bytes
  return typeof value === 'string' ? valueForms.text : valueForms.json
}

export function encodeBody(value: unknown): Uint8Array {
  if (value instanceof Uint8Array) return value
  if (typeof value === 'string') return encoder.encode(value)
  const json = toJson(value)
  if (json === undefined)
    throw new MqError('invalid_request', `a value of type ${typeof value} has no JSON form`)
  return encoder.encode(json)
}

function toJson(value: unknown): string | undefined {
  try {
    return JSON.stringify(value)
  } catch (cause) {
    throw new MqError('invalid_request', 'the value has no JSON form', { cause })
  }
}

/** The value as it was sent. @throws MqError `corrupt_record` when JSON was promised and is not there. */
export function decodeValue(form: number, body: Uint8Array): unknown {
  switch (form & valueFormMask) {
    case valueForms.bytes:
      return Uint8Array.from(body)
    case valueForms.text:
      return decoder.decode(body)
    case valueForms.json:
      return fromJson(decoder.decode(body))
    default:
      throw new MqError(
        'corrupt_record',
        `a record has the unknown value form ${form & valueFormMask}`,
      )
  }
}

function fromJson(json: string): unknown {
  try {
    return JSON.parse(json)
  } catch (cause) {
    throw new MqError('corrupt_record', 'the JSON value of a record cannot be parsed', { cause })
  }
}
