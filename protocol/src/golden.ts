/**
 * Bytes that never change, as rows of hex and what it says. docs/protocol.md and docs/disk-format.md quote them, the
 * tests build them: a change here is a change of the wire or of the disk format.
 */
export type GoldenRows = readonly (readonly [hex: string, says: string])[]

/** A record as its producer's client sends it, and the fields from `topic id` on as they stay for ever. */
const producerPart: GoldenRows = [
  ['03000000', 'topic id 3'],
  ['0500', 'partition 5'],
  ['01', 'kind: message'],
  ['00', 'attempt 0'],
  ['e201', 'flags: JSON, tag, key, headers, dedup id'],
  ['090000000000', 'producer id 9'],
  ['0100', 'producer epoch 1'],
  ['0100', 'run count 1'],
  ['10000000', 'run base 16'],
  ['019b76daa80070008123456789abcdef', 'message id, born 2026-01-01T00:00:00.000Z'],
  ['ceb20006', 'tag hash'],
  ['714e1620', 'key hash'],
  ['0c000000', 'body length 12'],
  ['0200 6575', 'tag: "eu"'],
  ['0400 6f2d3137', 'key: "o-17"'],
  ['0b000000 a1 65 7472616365 63 616263', 'headers: {"trace": "abc"}'],
  ['0300 642d31', 'dedup id: "d-1"'],
  ['7b22746f74616c223a34327d', 'body: {"total":42}'],
]

const sentRecord: GoldenRows = [
  ['8a000000', 'length 138'],
  ['8610bec5', 'crc of all from topic id on'],
  ['00'.repeat(36), 'the broker’s words: fold … leader epoch'],
  ...producerPart,
]

const storedRecord: GoldenRows = [
  ['8a000000', 'length 138'],
  ['8610bec5', 'crc of all from topic id on'],
  ['ed92201a', 'fold of the eight words that follow'],
  ['60000000', 'synced back: 96 bytes'],
  ['0010000000000000', 'position 4,096'],
  ['e803000000000000', 'offset 1,000'],
  ['00a8da769b01', 'appended at 2026-01-01T00:00:00.000Z'],
  ['0200', 'marks: last of its run'],
  ['06000000', 'leader epoch 6'],
  ...producerPart,
]

const source: GoldenRows = [
  ['01', 'version 1'],
  ['01', 'cause: nack'],
  ['0300', '3 deliveries before this copy'],
  ['07000000', 'group id 7'],
  ['03000000', 'topic id 3'],
  ['0500', 'partition 5'],
  ['0100', '1 of the deliveries ended without an answer'],
  ['2900000000001000', 'settles: held number 2^52 + 41'],
  ['e803000000000000', 'offset 1,000 of the first copy'],
  ['00a8da769b01', 'the first copy was appended at 2026-01-01T00:00:00.000Z'],
  ['aa00eeffc000', 'fingerprint of the last error: 00c0ffee00aa'],
  ['02000000', 'generation 2 of the group in the partition'],
  ['6092db769b01', 'this copy was made at 2026-01-01T00:01:00.000Z'],
  ['0000', 'kept'],
]

const history: GoldenRows = [
  ['a1', 'map of one'],
  ['68 617474656d707473 81', '"attempts": array of one'],
  ['a7', 'map of seven'],
  ['61 6e 01', '"n": 1'],
  ['62 6174 fb 4279b76daa800000', '"at": 2026-01-01T00:00:00.000Z, as a double'],
  ['68 636f6e73756d6572 62 7731', '"consumer": "w1"'],
  ['66 68656c644d73 18 fa', '"heldMs": 250'],
  ['67 6f7574636f6d65 64 6e61636b', '"outcome": "nack"'],
  ['6b 66696e6765727072696e74 6c 303063306666656530306161', '"fingerprint": "00c0ffee00aa"'],
  ['65 6572726f72 a2', '"error": map of two'],
  ['64 74797065 69 547970654572726f72', '"type": "TypeError"'],
  ['67 6d657373616765 68 6e6f20746f74616c', '"message": "no total"'],
]

export const golden = {
  frame_header: [
    ['504d', 'magic "PM"'],
    ['01', 'version 1'],
    ['20', 'type 32: produce'],
    ['00000008', 'correlation id 8'],
    ['000000c5', 'body length 197'],
  ],
  hello_request: [
    ['504d 01 01 00000001 00000032', 'header: type 1, correlation id 1, 50 bytes of body'],
    ['82', 'array of two'],
    ['a3', 'map of three'],
    ['66 636c69656e74 64 646f6373', '"client": "docs"'],
    ['6d 6c6f7765737456657273696f6e 01', '"lowestVersion": 1'],
    ['6e 6869676865737456657273696f6e 01', '"highestVersion": 1'],
    ['5a 00000000', 'no record bytes'],
  ],
  error: [
    ['504d 01 ff 00000007 00000034', 'header: type 0xff, correlation id 7, 52 bytes of body'],
    ['82', 'array of two'],
    ['a2', 'map of two'],
    ['65 6572726f72 19 07d2', '"error": 2002, topic_not_found'],
    [
      '64 77686174 78 1d 746f70696320226f72646572732220646f6573206e6f74206578697374',
      '"what": topic "orders" does not exist',
    ],
    ['5a 00000000', 'no record bytes'],
  ],
  produce_request: [
    ['504d 01 20 00000008 000000c5', 'header: type 32, correlation id 8, 197 bytes of body'],
    ['82', 'array of two'],
    ['a2', 'map of two'],
    ['64 61636b73 64 6469736b', '"acks": "disk"'],
    ['64 72756e73 81', '"runs": array of one'],
    ['a4', 'map of four'],
    ['67 746f7069634964 03', '"topicId": 3'],
    ['69 706172746974696f6e 05', '"partition": 5'],
    ['65 6279746573 18 8a', '"bytes": 138'],
    ['65 636f756e74 01', '"count": 1'],
    ['5a 0000008a', '138 bytes of records follow'],
    ...sentRecord,
  ],
  sent_record: sentRecord,
  stored_record: storedRecord,
  sections: [
    ['00a8da769b010000', 'deliver at 2026-01-01T00:00:00.000Z'],
    ['0200 6575', 'tag: "eu"'],
    ['0400 6f2d3137', 'key: "o-17"'],
    ['0b000000 a1 65 7472616365 63 616263', 'headers: {"trace": "abc"}'],
    ['0300 642d31', 'dedup id: "d-1"'],
    ['02000000 a0b0', 'history, here of two bytes'],
    ['8813000000000000', 'delay of 5,000 ms'],
    ['0300 c0d0e0', 'source, here of three bytes'],
  ],
  source,
  history,
} as const satisfies Record<string, GoldenRows>

/** The bytes of rows as one hex string. */
export function hexOf(rows: GoldenRows): string {
  return rows.map(([hex]) => hex.replaceAll(' ', '')).join('')
}
