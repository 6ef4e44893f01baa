import type { Message, PoppedMessage } from '@popmq/client'

export function fakeMessage(given: Partial<Message> = {}): Message {
  return {
    topic: 'orders',
    partition: 3,
    offset: 17,
    id: '019b75a0-0000-7000-8000-000000000001',
    key: 'o-17',
    tag: 'paid',
    headers: {},
    dedupId: undefined,
    value: { total: 42 },
    bytes: new Uint8Array(),
    appendedAt: Date.UTC(2026, 0, 1, 12),
    bornAt: Date.UTC(2026, 0, 1, 11),
    attempt: 1,
    ...given,
  }
}

export function fakePopped(given: Partial<PoppedMessage> = {}): PoppedMessage {
  const message = fakeMessage(given)
  return {
    ...message,
    handle: `h-${message.offset}`,
    leasedUntil: message.appendedAt + 30_000,
    ...given,
  }
}
