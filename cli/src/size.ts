import { MqError } from '@popmq/protocol'

const unitBytes = new Map([
  ['B', 1],
  ['kB', 1e3],
  ['MB', 1e6],
  ['GB', 1e9],
  ['TB', 1e12],
  ['KiB', 2 ** 10],
  ['MiB', 2 ** 20],
  ['GiB', 2 ** 30],
  ['TiB', 2 ** 40],
])

/**
 * Reads a size: `512`, `100B`, `64KiB`, `8MiB`, `1.5GB`.
 * @returns bytes, whole
 * @throws MqError `invalid_request`
 */
export function parseSize(text: string): number {
  const match = /^(\d{1,15}(?:\.\d{1,6})?)([A-Za-z]{1,3})?$/.exec(text)
  const bytes = Math.round(Number(match?.[1]) * (unitBytes.get(match?.[2] ?? 'B') ?? NaN))
  if (!Number.isSafeInteger(bytes)) {
    throw new MqError(
      'invalid_request',
      `${JSON.stringify(text)} is not a size: write 512, 64KiB, 8MiB or 1GB`,
    )
  }
  return bytes
}

/** For people: three digits and a binary unit, `8.00 MiB`. */
export function formatSize(bytes: number): string {
  let value = bytes
  let unit = 'B'
  for (const next of ['KiB', 'MiB', 'GiB', 'TiB']) {
    if (value < 1_024) break
    value /= 1_024
    unit = next
  }
  return unit === 'B' ? `${value} B` : `${value.toPrecision(value < 1_000 ? 3 : 4)} ${unit}`
}
