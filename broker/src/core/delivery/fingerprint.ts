import { present } from '@popmq/kit'
import { type CopyCause, type Failure, hashOfText, limits } from '@popmq/protocol'

/**
 * Fingerprint v1: 48 bits, never 0, the same for failures that a person would call the same error:
 *
 *    the type of the error | its message, normalised | the first frame of its stack that is the application's own
 *
 * When nothing of an error was told, each way in which a delivery ends has one fixed fingerprint. The version is part of
 * what is hashed: another way of computing it is v2 and gives other numbers.
 */
export function fingerprint(failure: Failure | undefined, outcome: CopyCause): number {
  const type = failure?.type?.trim() ?? ''
  const message = normalise(failure?.message ?? '')
  const frame = applicationFrame(failure?.stack ?? '')
  if (type === '' && message === '' && frame === '') return hash48(`v1 none ${outcome}`)
  return hash48(`v1\n${type}\n${message}\n${frame}`)
}

/**
 * An error message without what differs from one occurrence to the next. Strings in quotes, times, addresses and numbers
 * become ‹str› ‹time› ‹url› ‹email› ‹ip› ‹uuid› ‹hex› ‹n›; of a URL scheme and host stay, for the host tells errors
 * apart; up to three digits behind letters stay (`int32`, `HTTP2`). Reads at most `limits.errorBytes` chars, in time
 * linear in them: no pattern can begin again within what it looked through in vain.
 */
export function normalise(message: string): string {
  const text = message.slice(0, limits.errorBytes).replace(/\s+/g, ' ').trim()
  return text.replace(varying, replacement).replace(repeated, '$1')
}

/**
 * The first frame of a V8 stack that is neither of Node nor of a package: `handlers/pay.js:charge`. Of the path the last
 * two parts stay, so that machines agree, and the line goes, so that an edit above does not matter.
 * @returns '' when there is none
 */
export function applicationFrame(stack: string): string {
  for (const line of stack.slice(0, limits.errorBytes).split('\n')) {
    const frame = frameOf(line.trim())
    if (frame !== undefined) return frame
  }
  return ''
}

/** What is replaced, by the name of its placeholder. Upper and lower case are alike; \x60 is the backtick. */
const patterns = {
  url: String.raw`\b[a-z][a-z0-9+.-]{1,15}:\/\/[^\s"'\x60<>()[\]{}|\\,;‹›“”]+`,
  email: String.raw`(?<![\w.+%-])[\w.+%-]{1,64}@[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63}){0,7}\.[a-z]{2,24}(?![\w-])`,
  uuid: String.raw`(?<![0-9a-z])[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?![0-9a-z])`,
  time: [
    // 2026-11-21, 2026/11/21T15:26:06.123+01:00
    String.raw`(?<!\d)\d{4}(?<dash>[-/])\d{2}\k<dash>\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?(?: ?(?:Z|UTC|GMT|[+-]\d{2}:?\d{2}))?)?(?!\d)`,
    // Sat, 21 Nov 2026 15:26:06 GMT and Sat Nov 21 2026 15:26:06 GMT+0100 (Central European Standard Time)
    String.raw`\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),? [a-z0-9]{1,3} [a-z0-9]{1,3} \d{4} \d{2}:\d{2}:\d{2}(?: (?:GMT|UTC)(?:[+-]\d{4})?(?: \([a-z ]{1,40}\))?)?`,
    String.raw`(?<![\d:])\d{1,2}:\d{2}:\d{2}(?:[.,]\d{1,9})?(?![\d:])`,
  ].join('|'),
  ip: [
    String.raw`(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w.]*\w)`,
    String.raw`(?<![\w:])(?:[0-9a-f]{1,4}:){6}(?:[0-9a-f]{1,4}:[0-9a-f]{1,4}|\d{1,3}(?:\.\d{1,3}){3})(?![\w:])`,
    // With a digit somewhere: a::b is code.
    String.raw`(?<![\w:])(?=[0-9a-f:]{0,40}\d)(?:[0-9a-f]{1,4}(?::[0-9a-f]{1,4}){0,6})?::(?:[0-9a-f]{1,4}(?::[0-9a-f]{1,4}){0,6})?(?:(?:\.\d{1,3}){3})?(?:%\w{1,16})?(?![\w:])`,
  ].join('|'),
  str: [
    String.raw`(?<!\\)"(?:[^"\\]|\\.)*"`,
    String.raw`(?<!\\)\x60(?:[^\x60\\]|\\.)*\x60`,
    // An apostrophe within a word neither opens nor closes.
    String.raw`(?<!\w)'(?:[^']|(?<=\w)'(?=\w))*'(?!\w)`,
    '“[^“”]*”',
  ].join('|'),
  hex: String.raw`(?<![0-9a-z])(?:0x[0-9a-f]+|(?=\d*[a-f])[0-9a-f]{8,})(?![0-9a-z])`,
  n: String.raw`(?:(?<![\w.)\]-])[-+])?(?<![a-z]\d{0,3})\d+(?:[.,]\d+)*(?:e[+-]?\d+)?|(?<=[a-z])\d{4,}`,
} as const
type Placeholder = keyof typeof patterns
const names = Object.keys(patterns) as Placeholder[]

/** The first that matches at a place wins, so the order matters: a number is one only where it is nothing else. */
const varying = new RegExp(names.map((name) => `(?<${name}>${patterns[name]})`).join('|'), 'gi')

/** Lists of any length are one. */
const repeated = /(‹[a-z]+›)(?:, ?\1)+/g

function replacement(...match: unknown[]): string {
  const groups = match.at(-1) as Partial<Record<Placeholder, string>>
  if (groups.url !== undefined) return originOfUrl(groups.url)
  const name = names.find((each) => groups[each] !== undefined)
  return `‹${present(name, 'what matched is of one of the patterns')}›`
}

/** Scheme and host of a URL, the host itself normalised; neither who signs in nor what is asked for. */
function originOfUrl(url: string): string {
  const start = url.indexOf('://') + 3
  const path = url.slice(start).search(/[/?#]/)
  const authority = path === -1 ? url.slice(start) : url.slice(start, start + path)
  const named = authority.slice(authority.lastIndexOf('@') + 1)
  // The end of a sentence, or of "GET http://host: refused".
  const host = /[.:!]$/.test(named) ? named.slice(0, -1) : named
  return `${url.slice(0, start)}${host.replace(varying, replacement)}‹url›`.toLowerCase()
}

/** @returns undefined for a line that is no frame of the application */
function frameOf(line: string): string | undefined {
  if (!line.startsWith('at ')) return undefined
  const told = line.slice(line.startsWith('at async ') ? 9 : 3)
  const open = told.endsWith(')') ? told.indexOf(' (') : -1
  const place = open === -1 ? told : told.slice(open + 2, -1)
  const file = place.replace(/(?::\d{1,10}){1,2}$/, '')
  // A place without a line is none: <anonymous>, native, a message that speaks of "at".
  if (file === place || foreign.test(file)) return undefined
  const called = open === -1 ? '' : told.slice(0, open)
  const alias = called.indexOf(' [as ')
  return `${lastTwoParts(file)}:${alias === -1 ? called : called.slice(0, alias)}`
}

/** Of Node, of a package, or made while running. */
const foreign =
  /^(?:node:|internal\/|native|eval at |evalmachine|wasm:|<anonymous>)|[\\/]node_modules[\\/]/

function lastTwoParts(file: string): string {
  const query = file.search(/[?#]/)
  const path = query === -1 ? file : file.slice(0, query)
  return path.split(/[\\/]/).slice(-2).join('/')
}

/** 48 bits of a text: a 32-bit hash, and 16 bits of another one that mixes in another way. */
function hash48(text: string): number {
  let other = 0x9e3779b9
  for (let at = 0; at < text.length; at += 1) {
    other = Math.imul(other ^ text.charCodeAt(at), 0x85ebca6b)
    other ^= other >>> 15
  }
  other = Math.imul(other ^ (other >>> 13), 0xc2b2ae35)
  return Math.max(1, (other >>> 16) * 2 ** 32 + hashOfText(text))
}
