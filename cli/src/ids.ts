import { type Command, InvalidArgumentError, Option } from 'commander'

/** `--ids 1-17 1-18`, also with commas. */
export function idsOption(help: string): Option {
  return new Option('--ids <id...>', help).argParser(gather)
}

/** Takes `--yes`, as all that asks on a terminal does. */
export function addYes(command: Command): Command {
  return command.option('--yes', 'do not ask on a terminal')
}

function gather(text: string, before: readonly string[] | undefined): readonly string[] {
  const ids = text.split(',').filter((id) => id !== '')
  if (ids.length === 0) throw new InvalidArgumentError('It names nothing.')
  return [...new Set([...(before ?? []), ...ids])]
}
