import { firstHeldNumber, MqError, quoted } from '@popmq/protocol'

/** What an id names: something by its number in a replica set. */
export interface HeldId {
  readonly set: number
  /** From 0. */
  readonly number: number
}

/** `<set>-<number>`: what people see of a delayed message, a retry or a dead letter. */
export function formatHeldId({ set, number }: HeldId): string {
  return `${set}-${number}`
}

/** The id of a held record. */
export function heldIdOf(set: number, heldNumber: number): string {
  return formatHeldId({ set, number: heldNumber - firstHeldNumber })
}

/** @throws MqError `invalid_request` for text that is no id of `what` */
export function parseHeldId(what: string, id: string): HeldId {
  const found = readHeldId(id)
  if (found !== undefined) return found
  throw new MqError('invalid_request', `${quoted(String(id))} is not the id of ${what}: 1-17`)
}

/** @returns undefined for text that is none */
export function readHeldId(id: string): HeldId | undefined {
  const [, setText = '', numberText = ''] = /^([1-9]\d{0,9})-(0|[1-9]\d{0,15})$/.exec(id) ?? []
  if (setText === '') return undefined
  const set = Number(setText)
  const number = Number(numberText)
  return number < firstHeldNumber - 1 ? { set, number } : undefined
}

/** Where a message is: `topic/partition/offset`. */
export interface PlaceId {
  readonly topic: string
  readonly partition: number
  readonly offset: number
}

export function formatPlaceId({ topic, partition, offset }: PlaceId): string {
  return `${topic}/${partition}/${offset}`
}

/** @returns undefined for text that is none */
export function readPlaceId(id: string): PlaceId | undefined {
  const [, topic = '', partition, offset] = /^([^/]+)\/(\d{1,4})\/(\d{1,16})$/.exec(id) ?? []
  if (topic === '') return undefined
  const place = { topic, partition: Number(partition), offset: Number(offset) }
  return place.offset < firstHeldNumber ? place : undefined
}
