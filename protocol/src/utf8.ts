const encoder = new TextEncoder()
const loneSurrogate = /\p{Surrogate}/u
/** Up to here a loop over the characters beats the encoder, whose call alone costs more than half a microsecond. */
const shortText = 64

/** Whether the text is short and each character is one byte: the common case, done without a byte array. */
function isShortAscii(text: string): boolean {
  if (text.length > shortText) return false
  for (let at = 0; at < text.length; at += 1) if (text.charCodeAt(at) >= 0x80) return false
  return true
}

/** Length in bytes of well-formed text. @returns undefined when it has lone surrogates, which no bytes stand for */
export function textBytes(text: string): number | undefined {
  if (isShortAscii(text)) return text.length
  return loneSurrogate.test(text) ? undefined : encoder.encode(text).length
}

/** Writes the bytes of text, which was measured, at `start`. @returns the position behind them */
export function writeText(text: string, bytes: Uint8Array, start: number): number {
  if (isShortAscii(text)) {
    for (let at = 0; at < text.length; at += 1) bytes[start + at] = text.charCodeAt(at)
    return start + text.length
  }
  return start + encoder.encodeInto(text, bytes.subarray(start)).written
}
