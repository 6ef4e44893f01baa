import { decodeBody, hello, MqError, protocolVersion, requestBodyLimits } from '@popmq/protocol'

/**
 * Reads the hello of a client and settles the version that both speak.
 * @returns the name that the client gives itself
 * @throws MqError `malformed_body`, `invalid_request`, `unsupported_version`
 */
export function readGreeting(body: Uint8Array): string {
  const { client, lowestVersion, highestVersion } = hello.request(
    decodeBody(body, requestBodyLimits).fields,
    '',
  )
  if (lowestVersion <= protocolVersion && protocolVersion <= highestVersion) return client
  const spoken = `this server speaks version ${protocolVersion}`
  throw new MqError(
    'unsupported_version',
    `the client speaks versions ${lowestVersion} to ${highestVersion}, ${spoken}`,
  )
}
