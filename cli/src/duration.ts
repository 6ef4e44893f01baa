import { MqError } from '@popmq/protocol'

const unitsMs = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const

type Unit = keyof typeof unitsMs

/**
 * Reads a duration as users write it: `200ms`, `5s`, `2m`, `1.5h`, `14d`, or `0`.
 * @returns ms, whole
 * @throws MqError `invalid_request`
 */
export function parseDuration(text: string): number {
  const match = /^(\d{1,12}(?:\.\d{1,6})?)(ms|s|m|h|d)$/.exec(text)
  const unit = match?.[2]
  const ms =
    text === '0' ? 0 : Math.round(Number(match?.[1]) * (isUnit(unit) ? unitsMs[unit] : NaN))
  if (!Number.isSafeInteger(ms)) {
    throw new MqError(
      'invalid_request',
      `${JSON.stringify(text)} is not a duration: write 200ms, 5s, 2m, 72h or 14d`,
    )
  }
  return ms
}

/** A parser of durations in [lowMs, highMs]. */
export function durationBetween(lowMs: number, highMs: number): (text: string) => number {
  return (text) => {
    const ms = parseDuration(text)
    if (ms >= lowMs && ms <= highMs) return ms
    const bounds = `${formatDuration(lowMs)} to ${formatDuration(highMs)}`
    throw new MqError('invalid_request', `${JSON.stringify(text)} is out of range: write ${bounds}`)
  }
}

/** The shortest exact form: 120_000 is `2m`. `parseDuration` reads it back. */
export function formatDuration(ms: number): string {
  if (ms === 0) return '0'
  const unit = (['d', 'h', 'm', 's'] as const).find((name) => ms % unitsMs[name] === 0) ?? 'ms'
  return `${ms / unitsMs[unit]}${unit}`
}

function isUnit(text: string | undefined): text is Unit {
  return text !== undefined && Object.hasOwn(unitsMs, text)
}
