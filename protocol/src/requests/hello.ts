import { exchange } from '../exchange.ts'
import { object, oneOf, optional, text, whole } from '../fields.ts'

/** First on every connection. `auth` is reserved. The server answers with the version that both speak. */
export const hello = exchange({
  type: 1,
  name: 'hello',
  request: object({
    /** A name for logs and metrics, chosen by the client. */
    client: text(128),
    lowestVersion: whole(0, 255),
    highestVersion: whole(0, 255),
    auth: optional(text(4_096)),
  }),
  reply: object({
    role: oneOf('coordinator', 'broker'),
    version: whole(1, 255),
    clusterId: text(64),
    /** The most bytes that a frame's body may have here. */
    frameBodyBytes: whole(1),
  }),
})
