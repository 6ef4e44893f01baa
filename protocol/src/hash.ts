const encoder = new TextEncoder()

/**
 * 32-bit hash of bytes: FNV-1a, then murmur3's finaliser so that close inputs spread. Part of the wire contract:
 * every client routes a key to `hash32(key) % partitions`, and the broker filters tags by it.
 */
export function hash32(bytes: Uint8Array): number {
  let hash = 0x811c9dc5
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}

/** The hash of a tag; 0 stands for "no tag", so a tag that hashes to 0 is given 1. */
export function tagHash(tag: string): number {
  return Math.max(1, hash32(encoder.encode(tag)))
}
