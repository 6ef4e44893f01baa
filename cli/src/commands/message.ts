import type { Command } from 'commander'
import { limits } from '@popmq/protocol'
import type { Invocation } from '../invocation.ts'
import { messageDetail, messageLine } from '../message-line.ts'
import { type Act, asOption } from '../usage.ts'
import { wholeNumber } from '../whole-number.ts'

export function addMessageCommands(program: Command, act: Act): void {
  const message = program.command('message').description('look at single messages')
  message
    .command('at')
    .description('the message at an offset')
    .argument('<topic>')
    .argument('<partition>', 'from 0', asOption(wholeNumber(0, limits.partitionsPerTopic - 1)))
    .argument('<offset>', 'from 0', asOption(wholeNumber(0)))
    .action(act(messageAt))
}

// oxlint-disable-next-line max-params -- commander gives arguments in a row
async function messageAt(
  invocation: Invocation,
  topic: string,
  partition: number,
  offset: number,
): Promise<void> {
  const { output, signal } = invocation
  const client = await invocation.connect()
  const message = await client.admin().messageAt({ topic, partition, offset }, { signal })
  await output.object(messageLine(message), () => messageDetail(message))
}
