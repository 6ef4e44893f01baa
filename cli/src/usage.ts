import { CommanderError, InvalidArgumentError } from 'commander'
import { MqError } from '@popmq/protocol'
import type { Invocation } from './invocation.ts'

/** Makes the action of a command: what commander calls with the arguments, the flags and the command. */
export type Act = <A extends unknown[]>(
  body: (invocation: Invocation, ...given: A) => Promise<void>,
) => (...given: A) => Promise<void>

/** A parser of ours as commander wants it: its errors are wrong usage. */
export function asOption<T>(parse: (text: string) => T): (text: string) => T {
  return (text) => {
    try {
      return parse(text)
    } catch (error) {
      throw error instanceof MqError ? new InvalidArgumentError(error.what) : error
    }
  }
}

/** Gathers a flag that may be given several times. */
export function collect(text: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), text]
}

/** Words that do not fit together: the process ends with 2. */
export function wrongUsage(sentence: string): CommanderError {
  return new CommanderError(2, 'popmq.wrongUsage', sentence)
}

/** Reads words that commander does not read itself. What `read` refuses is wrong usage. */
export function asUsage<T>(read: () => T): T {
  try {
    return read()
  } catch (error) {
    throw error instanceof MqError ? wrongUsage(error.what) : error
  }
}
