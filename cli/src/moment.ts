import { MqError } from '@popmq/protocol'
import { parseDuration } from './duration.ts'

/** A whole number below this is an offset, from here on ms since 1970 (this one is in March 1973). */
const firstEpochMs = 100_000_000_000

const iso = /^(\d{4}-\d{2}-\d{2})(T\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?)?(Z|[+-]\d{2}:\d{2})?$/

/**
 * Reads a time: ISO 8601 (`2026-03-01T12:00:00Z`; without a zone it is UTC, as all times that are printed), ms since
 * 1970, `-1h`: ago, or `+1h`: from now.
 * @returns ms since 1970
 * @throws MqError `invalid_request`
 */
export function parseMoment(text: string, nowMs: number): number {
  const ms = momentMs(text, nowMs)
  if (Number.isSafeInteger(ms) && ms >= 0) return ms
  const forms =
    'write 2026-03-01T12:00:00Z, ms since 1970, -1h for an hour ago, or +1h for in an hour'
  throw new MqError('invalid_request', `${JSON.stringify(text)} is not a time: ${forms}`)
}

function momentMs(text: string, nowMs: number): number {
  if (text.startsWith('-')) return nowMs - parseDuration(text.slice(1))
  if (text.startsWith('+')) return nowMs + parseDuration(text.slice(1))
  if (/^\d{12,16}$/.test(text)) return Number(text)
  const [, date, time, zone] = iso.exec(text) ?? []
  if (date === undefined || (time === undefined && zone !== undefined)) return NaN
  // JavaScript takes the 30th of February for the 2nd of March.
  const day = new Date(`${date}T00:00Z`)
  if (Number.isNaN(day.getTime()) || day.toISOString().slice(0, 10) !== date) return NaN
  return Date.parse(`${date}${time ?? 'T00:00'}${zone ?? 'Z'}`)
}

/**
 * Reads OFFSET|TIME.
 * @returns an offset as a number, a time as a Date
 * @throws MqError `invalid_request`
 */
export function parseOffsetOrMoment(text: string, nowMs: number): number | Date {
  const number = /^\d{1,15}$/.test(text) ? Number(text) : NaN
  return number < firstEpochMs ? number : new Date(parseMoment(text, nowMs))
}

/**
 * Reads earliest|latest|OFFSET|TIME.
 * @throws MqError `invalid_request`
 */
export function parseFrom(text: string, nowMs: number): 'earliest' | 'latest' | number | Date {
  return text === 'earliest' || text === 'latest' ? text : parseOffsetOrMoment(text, nowMs)
}
