import { frameHeaderBytes, limits } from '@popmq/protocol'

/** Where on a port the WebSocket is. */
export const webSocketPath = '/popmq'

/**
 * What both ends set in `ws`. Its own defaults allow 100 MiB, 16,384 fragments and compression, and wait 30 s for a
 * peer to close. (`maxFragments`, `maxBufferedChunks` and `closeTimeout` are missing from its published types.)
 */
export const webSocketBounds = {
  perMessageDeflate: false,
  maxPayload: frameHeaderBytes + limits.requestFieldsBytes + limits.frameBodyBytes,
  maxFragments: 64,
  maxBufferedChunks: 4_096,
  maxPendingAutoPongs: 60,
  closeTimeout: 2_000,
} as const
