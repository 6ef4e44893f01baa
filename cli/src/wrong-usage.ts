import type { Command, CommanderError } from 'commander'
import { nearest } from '@popmq/kit'
import { usageLine } from './output.ts'

/** What comes in a later version, by the command that it belongs to: to be told apart from a typing error. */
const laterCommands: Readonly<Record<string, readonly string[]>> = {
  popmq: ['gateway', 'parked'],
  dlq: ['export', 'import', 'replay', 'jobs', 'job'],
}

/** The line for stderr that says what is wrong with the words given to `command`, and what may have been meant. */
export function wrongUsageLine(error: CommanderError, command: Command): string {
  const sentence = error.message.replace(/^error: /, '')
  const word = /'([^']*)'/.exec(sentence)?.[1] ?? ''
  const path = commandPath(command)
  const help = `${path} --help lists what there is`
  const [flag] = unknownFlag(error, command)?.split('=') ?? []
  if (flag !== undefined) {
    return usageLine(`unknown option ${flag}`, didYouMean(flag, flagsOf(command)) ?? help)
  }
  if (error.code === 'commander.unknownCommand') {
    const full = `unknown command ${path.slice('popmq'.length).trim()} ${word}`.replaceAll(
      '  ',
      ' ',
    )
    if (laterCommands[command.name()]?.includes(word) === true) {
      return usageLine(`${full}: it is not available yet`, help)
    }
    return usageLine(
      full,
      didYouMean(
        word,
        command.commands.map((sub) => sub.name()),
      ) ?? help,
    )
  }
  return usageLine(plain(sentence), help)
}

/** A flag that is needed may be missing because it is mistyped: then that is what is wrong. */
function unknownFlag({ code, message }: CommanderError, command: Command): string | undefined {
  if (code === 'commander.unknownOption') return /'([^']*)'/.exec(message)?.[1]
  if (code !== 'commander.missingMandatoryOptionValue') return undefined
  return command.args.find((word) => /^--\w/.test(word))
}

/** commander's "option '--max <n>' argument 'x' is invalid. Why." as "--max: why". */
function plain(sentence: string): string {
  const invalid = /^option '(?:-\w, )?(--[\w-]+)[^']*' argument '.*' is invalid\. (.*)$/s.exec(
    sentence,
  )
  const argument = /^command-argument value '.*' is invalid for argument '([^']*)'\. (.*)$/s.exec(
    sentence,
  )
  const [, name, why] = invalid ?? argument ?? []
  return name === undefined ? sentence.replace(/\.$/, '') : `${name}: ${why}`
}

function didYouMean(word: string, candidates: readonly string[]): string | undefined {
  const near = nearest(word, candidates)
  return near === undefined ? undefined : `did you mean ${near}?`
}

function flagsOf(command: Command): string[] {
  const own = command.options.flatMap(({ long }) => (typeof long === 'string' ? [long] : []))
  return command.parent === null ? [...own, '--help'] : [...own, ...flagsOf(command.parent)]
}

function commandPath(command: Command): string {
  return command.parent === null
    ? command.name()
    : `${commandPath(command.parent)} ${command.name()}`
}
