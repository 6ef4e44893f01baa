const encoder = new TextEncoder()

/**
 * 32-bit hash of bytes: FNV-1a, then murmur3's finaliser so that close inputs spread. Part of the wire contract:
 * every client routes a key to `hash32(key) % partitions`, and the broker filters tags by it.
 */
export function hash32(bytes: Uint8Array): number {
  let hash = basis
  for (let at = 0; at < bytes.length; at += 1) hash = Math.imul(hash ^ (bytes[at] ?? 0), prime)
  return finish(hash)
}

/** The hash of the bytes of well-formed text. */
export function hashOfText(text: string): number {
  let hash = basis
  for (let at = 0; at < text.length; at += 1) {
    const unit = text.charCodeAt(at)
    if (unit >= 0x80) return hash32(encoder.encode(text))
    hash = Math.imul(hash ^ unit, prime)
  }
  return finish(hash)
}

/** The hash of a tag; 0 stands for "no tag", so a tag that hashes to 0 is given 1. */
export function tagHash(tag: string): number {
  return Math.max(1, hashOfText(tag))
}

const basis = 0x811c9dc5
const prime = 0x01000193

function finish(folded: number): number {
  let hash = Math.imul(folded ^ (folded >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}
