import {
  encodeBodyHead,
  frameHeaderBytes,
  limits,
  MqError,
  writeFrameHeader,
} from '@popmq/protocol'

/** A frame to send. */
export interface OutgoingFrame {
  readonly type: number
  readonly correlationId: number
  readonly fields: object
  /** Record bytes, sent as they are: they must not change afterwards. */
  readonly slices?: readonly Uint8Array[] | undefined
}

/**
 * The frame as parts of one message: header and fields in one array, then the slices untouched.
 * @throws MqError `message_too_large`
 */
export function frameParts({
  type,
  correlationId,
  fields,
  slices = [],
}: OutgoingFrame): Uint8Array[] {
  let slicesBytes = 0
  for (const slice of slices) slicesBytes += slice.length
  const head = encodeBodyHead(fields, slicesBytes, frameHeaderBytes)
  const bodyBytes = head.length - frameHeaderBytes + slicesBytes
  if (bodyBytes > limits.frameBodyBytes) {
    throw new MqError(
      'message_too_large',
      `a frame body of ${bodyBytes} bytes is longer than ${limits.frameBodyBytes}`,
    )
  }
  writeFrameHeader(head, { type, correlationId, bodyBytes })
  return [head, ...slices]
}
