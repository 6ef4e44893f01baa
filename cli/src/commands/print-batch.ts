import type { Message } from '@popmq/client'
import type { Invocation } from '../invocation.ts'
import { messageLine, messageText } from '../message-line.ts'

/** Messages that are asked for at once. */
export const mostPerReceive = 1_000
/** What is joined into one write; a message is never split. */
const writeChars = 262_144

/** How a message is printed: with `--json`, and for people. */
export interface MessageForms<M> {
  readonly line: (message: M) => object
  readonly text: (message: M) => string
}

const plainForms: MessageForms<Message> = { line: messageLine, text: messageText }

/** Prints messages until the command is asked to stop. @returns how many were printed */
export function printBatch(invocation: Invocation, messages: readonly Message[]): Promise<number> {
  return printForms(invocation, messages, plainForms)
}

/** As `printBatch`, in other forms. */
export async function printForms<M>(
  { output, signal }: Invocation,
  messages: readonly M[],
  { line, text }: MessageForms<M>,
): Promise<number> {
  let lines = ''
  let printed = 0
  for (const message of messages) {
    if (signal.aborted && lines === '') return printed
    lines += `${output.json ? JSON.stringify(line(message)) : text(message)}\n`
    printed += 1
    if (lines.length < writeChars) continue
    await output.raw(lines)
    lines = ''
  }
  await output.raw(lines)
  return printed
}
