import { ackLevels } from '@popmq/protocol'
import type { ProducerOptions } from './api/producer.ts'
import { checkWord, withDefaults } from './options.ts'

export interface ProducerConfig extends Required<Omit<ProducerOptions, 'acks' | 'onError'>> {
  readonly acks: ProducerOptions['acks'] | undefined
  readonly onError: ProducerOptions['onError'] | undefined
}

const defaults: ProducerConfig = {
  acks: undefined,
  lingerMs: 0,
  batchBytes: 1_048_576,
  batchMessages: 10_000,
  requestsInFlight: 5,
  bufferBytes: 33_554_432,
  onFull: 'wait',
  deliverWithinMs: 120_000,
  onError: undefined,
}

const ranges = {
  lingerMs: [0, 1_000],
  batchBytes: [1_024, 16_777_216],
  batchMessages: [1, 65_535],
  requestsInFlight: [1, 64],
  bufferBytes: [65_536, 4_294_967_296],
  deliverWithinMs: [100, 900_000],
} as const

/** @throws MqError `invalid_request` */
export function producerConfig(options: ProducerOptions): ProducerConfig {
  const config = withDefaults<ProducerConfig>('producer', options, { defaults, ranges })
  checkWord('producer option onFull', config.onFull, ['wait', 'reject'])
  if (config.acks !== undefined) checkWord('producer option acks', config.acks, ackLevels)
  return config
}
