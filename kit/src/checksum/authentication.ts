import { createHmac } from 'node:crypto'

/** The message authentication code of `bytes` under a secret key: HMAC-SHA-256, cut to 16 bytes. */
export function authenticate(key: Uint8Array, bytes: Uint8Array): Uint8Array {
  return createHmac('sha256', key).update(bytes).digest().subarray(0, 16)
}
