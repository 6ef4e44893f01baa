/**
 * Memory for short frames. A piece of its own for each would be garbage that costs a call of the allocator; here they
 * share pieces that go when the last frame in them is written. Small enough to come from the heap, not from the system.
 */
const pieceBytes = 65_536

let piece = Buffer.allocUnsafeSlow(0)
let used = 0

/** Bytes for one frame, not cleared. */
export function frameMemory(bytes: number): Buffer {
  if (used + bytes > piece.length) {
    piece = Buffer.allocUnsafeSlow(Math.max(pieceBytes, bytes))
    used = 0
  }
  used += bytes
  return piece.subarray(used - bytes, used)
}
