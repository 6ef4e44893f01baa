const encoder = new TextEncoder()

/**
 * 32-bit hash of bytes: FNV-1a, then murmur3's finaliser so that close inputs spread. Part of the wire contract:
 * every client routes a key to `hash32(key) % partitions`, and the broker filters tags by it.
 */
export function hash32(bytes: Uint8Array): number {
  let hash = 0x811c9dc5
  for (let at = 0; at < bytes.length; at += 1) hash = Math.imul(hash ^ (bytes[at] ?? 0), 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}

/** The hash of a tag's bytes; 0 stands for "no tag", so a tag that hashes to 0 is given 1. */
export function hashOfTag(bytes: Uint8Array): number {
  return Math.max(1, hash32(bytes))
}

/** The hash of a tag. */
export function tagHash(tag: string): number {
  return hashOfTag(encoder.encode(tag))
}
