/** Every maximum of the wire and of the names, once. Bytes unless the name says otherwise. */
export const limits = {
  /** A topic or group name. */
  nameBytes: 127,
  partitionsPerTopic: 1_024,
  /** Over all topics that a group reads. */
  partitionsPerGroup: 65_536,
  keyBytes: 1_024,
  tagBytes: 256,
  headersBytes: 65_536,
  dedupIdBytes: 128,
  /** `maxMessageBytes` of a topic: its default and the most it may be set to. */
  defaultMessageBytes: 8 * 1_048_576,
  mostMessageBytes: 64 * 1_048_576,
  /** A record may be this much longer than its message: fixed part, key, tag, headers, dedup id, history. */
  recordOverheadBytes: 262_144,
  /** What a copy tells of earlier deliveries. */
  historyBytes: 194_560,
  /** Of one failure: its type, its message, its stack. Clients shorten what is longer. */
  errorTypeBytes: 256,
  errorBytes: 8_192,
  /** The longest delay of a message or of a retry: a year. */
  delayMs: 366 * 86_400_000,
  /** The longest that a popped message is hidden without an extension. */
  invisibleMs: 12 * 3_600_000,
  /** Messages of one pop, and handles of one request that settles them. */
  messagesPerPop: 10_000,
  /** A run is numbered in 16 bits. */
  messagesPerRun: 65_535,
  /** A frame's body: a maximal message with its record around it. */
  frameBodyBytes: 65 * 1_048_576,
  /** A frame of 12 bytes costs 200 in memory: a message full of them would cost a gigabyte. */
  framesPerMessage: 1_024,
  /** The field map of a request, and of a reply (route tables are long). */
  requestFieldsBytes: 1_048_576,
  replyFieldsBytes: 16 * 1_048_576,
  requestItems: 65_536,
  replyItems: 4_194_304,
  /** How deep a field map nests, the body's own array counted. */
  fieldDepth: 9,
  /** Of a map in a body, and of the headers of a message. */
  keysPerMap: 64,
  /** Requests of one connection that may wait for an answer. */
  requestsInFlight: 1_024,
  /** How long a request may be held, and how long a delivery may be tried. */
  waitMs: 60_000,
  deliverWithinMs: 15 * 60_000,
} as const
