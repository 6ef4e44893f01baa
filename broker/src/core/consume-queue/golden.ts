/**
 * Bytes of the consume queues that never change, as rows of hex and what it says. docs/disk-format.md quotes them, the
 * tests build them: a change here is a change of the disk format.
 */
export type GoldenRows = readonly (readonly [hex: string, says: string])[]

const entry: GoldenRows = [
  ['0010000000000000', 'log position 4,096'],
  ['8a000000', 'size 138'],
  ['e201', 'record flags: JSON, tag, key, headers, dedup id'],
  ['01', 'kind: message'],
  ['00', 'attempt 0'],
  ['ceb20006', 'tag hash'],
  ['714e1620', 'key hash'],
  ['00a8da769b01', 'appended at 2026-01-01T00:00:00.000Z'],
  ['0000', 'kept'],
]

export const golden = {
  entry,
  page: [
    ['2b70ca2a', 'crc of all that follows'],
    ['50515001', 'magic "PQP", version 1'],
    ['03000000', 'topic id 3'],
    ['0500', 'partition 5'],
    ['7f00', '127 entries'],
    ['0700000000000000', 'page number 7: offsets 889 to 1,015'],
    ['0000000000000000', 'kept'],
    ...entry,
    ['00'.repeat(126 * 32), 'the other 126 entries, here of nothing'],
  ],
  table: [
    ['28e90f55', 'crc of all that follows'],
    ['50515401', 'magic "PQT", version 1'],
    ['0000004000000000', 'the file of the log segment at 1,073,741,824'],
    ['01000000', '1 page in the file'],
    ['02000000', '2 rows'],
    ['0000000000000000', 'kept'],
    ['00000000', 'row: slot 0'],
    ['03000000', 'topic id 3'],
    ['0500', 'partition 5'],
    ['00a8da769b01', 'its first entry was appended at 2026-01-01T00:00:00.000Z'],
    ['0700000000000000', 'page number 7'],
    ['0000000000000000', 'the log segment at 0'],
    ['8a00000000000000', '138 live bytes in it'],
    ['00000000', 'row: slot 0 again'],
    ['03000000', 'topic id 3'],
    ['0500', 'partition 5'],
    ['00a8da769b01', 'appended at'],
    ['0700000000000000', 'page number 7'],
    ['0000004000000000', 'the log segment at 1,073,741,824'],
    ['e803000000000000', '1,000 live bytes in it'],
  ],
  section: [
    ['50515302', 'magic "PQS", version 2'],
    ['01000000', '1 segment'],
    ['00000000', 'no index file'],
    ['01000000', '1 partition'],
    ['00000000', 'no full page that is on no disk'],
    ['0020000000000000', 'viewed: log position 8,192'],
    ['0000000000000000', 'the log segment at 0'],
    ['1401000000000000', '276 live bytes in it'],
    ['03000000', 'topic id 3'],
    ['0500', 'partition 5'],
    ['0000', 'no span: the page that holds low is not full'],
    ['0100000000000000', 'low: offset 1'],
    ['0200000000000000', 'high: offset 2'],
    ['8a00000000000000', '138 readable bytes'],
    ['00'.repeat(32), 'the entry of offset 0, below low, here of nothing'],
    ...entry,
    ['01000000', '1 kept entry'],
    ['0000000000000000', 'of offset 0'],
    ...entry,
  ],
  horizon: [
    ['03000000', 'topic id 3'],
    ['0500', 'partition 5'],
    ['0000', 'kept'],
    ['e803000000000000', 'low: offset 1,000'],
  ],
} as const satisfies Record<string, GoldenRows>

export function hexOf(rows: GoldenRows): string {
  return rows.map(([hex]) => hex.replaceAll(' ', '')).join('')
}
