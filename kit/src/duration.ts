const msPerUnit: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
}

/** `200ms`, `5s`, `2m`, `72h`, `14d` in ms. @returns NaN for what is not a time */
export function msOf(text: string): number {
  const match = /^(\d{1,15})(ms|s|m|h|d)$/.exec(text)
  return Number(match?.[1]) * (msPerUnit[match?.[2] ?? ''] ?? Number.NaN)
}
