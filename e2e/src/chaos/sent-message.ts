import type { OutgoingMessage } from '@popmq/client'

/** Names one message of the load: the producer, from 0, and which of its messages it is, from 0. */
export interface MessageName {
  readonly producer: number
  readonly number: number
}

const keysPerProducer = 40
const mostFiller = 400

/** Everything about a message follows from its name, so that a reader can tell what it ought to hold. */
export function sentMessage(topic: string, name: MessageName): OutgoingMessage & { key: string } {
  return { topic, key: keyOf(name), value: valueOf(name) }
}

/** The producer is part of the key: the order of a key is the order of one producer. Two keys of forty make half. */
export function keyOf({ producer, number }: MessageName): string {
  const hash = Math.imul(number + 1, 0x9e3779b1) >>> 8
  const key = hash % 2 === 0 ? hash % 4 : hash % keysPerProducer
  return `p${producer}-k${key}`
}

function valueOf(name: MessageName): { readonly id: string; readonly filler: string } {
  const { producer, number } = name
  return { id: `p${producer}-${number}`, filler: 'x'.repeat((number * 7_919) % mostFiller) }
}

/** @returns undefined when the value is not what a message of the load holds */
export function nameOf(value: unknown): MessageName | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const { id, filler } = value as { readonly id?: unknown; readonly filler?: unknown }
  const parts = /^p(\d+)-(\d+)$/.exec(String(id))
  if (parts === null) return undefined
  const name = { producer: Number(parts[1]), number: Number(parts[2]) }
  return filler === valueOf(name).filler ? name : undefined
}
