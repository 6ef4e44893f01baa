import { MqError } from './errors.ts'

const namePattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,126}$/
const systemNamePattern = /^_[A-Za-z0-9._-]{1,126}$/

/** Whether a user may give this name to a topic or group. */
export function isName(name: string): boolean {
  return namePattern.test(name)
}

/** @throws MqError `invalid_name` */
export function checkName(what: 'topic' | 'group', name: string): string {
  if (!isName(name))
    throw new MqError('invalid_name', `${what} name ${quoted(name)} is not allowed`)
  return name
}

/** A name with a leading underscore is the system's: it may be read, never made by a user. */
export function isSystemName(name: string): boolean {
  return systemNamePattern.test(name)
}

/** The name as JSON with everything outside printable ASCII escaped: names reach terminals and logs. */
export function quoted(name: string): string {
  const shown = name.length > 140 ? `${name.slice(0, 140)}…` : name
  return JSON.stringify(shown).replaceAll(
    /[^\x20-\x7e…]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
