/**
 * The newest transaction that a session has seen the effect of: eight bytes, big-endian. A new connection presents it,
 * and a server that is behind refuses: that keeps reads as new as the own last commit across servers.
 */
export class SeenZxid {
  #bytes: Buffer = Buffer.alloc(8)

  get bytes(): Buffer {
    return Buffer.from(this.#bytes)
  }

  /** Some refusals carry 0 or −1, which the library would take for the newest. */
  note(bytes: Buffer): void {
    const isNegative = ((bytes[0] ?? 0) & 0x80) !== 0
    if (!isNegative && Buffer.compare(bytes, this.#bytes) > 0) this.#bytes = Buffer.from(bytes)
  }
}
