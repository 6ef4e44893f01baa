import type { Command, CommanderError } from 'commander'
import { nearest } from '@popmq/kit'
import { usageLine } from './output.ts'

/** What comes in a later version, by command and flag: to be told apart from a typing error. */
const laterFlags: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  produce: {
    '--delay': 'delayed messages are not available yet',
    '--at': 'delayed messages are not available yet',
  },
  dev: { '--zookeeper': 'a registry in ZooKeeper is not available yet' },
  coordinator: { '--zookeeper': 'a registry in ZooKeeper is not available yet' },
}

const laterCommands = ['gateway', 'pop', 'work', 'retry', 'inflight', 'parked', 'delay', 'dlq']

/** The line for stderr that says what is wrong with the words given to `command`, and what may have been meant. */
export function wrongUsageLine(error: CommanderError, command: Command): string {
  const sentence = error.message.replace(/^error: /, '')
  const word = /'([^']*)'/.exec(sentence)?.[1] ?? ''
  const path = commandPath(command)
  const help = `${path} --help lists what there is`
  if (error.code === 'commander.unknownOption') {
    const [flag = ''] = word.split('=')
    const later = laterFlags[command.name()]?.[flag]
    if (later !== undefined) return usageLine(`unknown option ${flag}: ${later}`, 'leave it out')
    return usageLine(`unknown option ${flag}`, didYouMean(flag, flagsOf(command)) ?? help)
  }
  if (error.code === 'commander.unknownCommand') {
    const full = `unknown command ${path.slice('popmq'.length).trim()} ${word}`.replaceAll(
      '  ',
      ' ',
    )
    if (command.parent === null && laterCommands.includes(word)) {
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
