import { MqError } from '@popmq/protocol'
import type { WorkerOptions } from './api/worker.ts'
import { withDefaults } from './options.ts'
import { checkPop, popDefaults, popRanges } from './pop-consumer-config.ts'
import type { PopConsumerConfig } from './pop-consumer-config.ts'

/** The options of a worker, checked. */
export interface WorkerConfig extends PopConsumerConfig {
  readonly concurrency: number
  readonly prefetch: number
  readonly prefetchBytes: number
  readonly onError: WorkerOptions['onError'] | undefined
}

type Given = Omit<WorkerConfig, 'prefetch'> & { readonly prefetch: number | undefined }

const defaults: Given = {
  ...popDefaults,
  concurrency: 16,
  prefetch: undefined,
  prefetchBytes: 16_777_216,
  onError: undefined,
}

const ranges = {
  ...popRanges,
  concurrency: [1, 10_000],
  prefetch: [0, 10_000],
  prefetchBytes: [1, 1_073_741_824],
} as const

/** @throws MqError `invalid_request`, `invalid_name` */
export function workerConfig(options: WorkerOptions, handler: unknown): WorkerConfig {
  const given = withDefaults<Given>('worker', options, { defaults, ranges })
  checkPop('worker', given)
  const { concurrency, prefetch, onError } = given
  if (typeof handler !== 'function') throw invalid('worker takes a function that handles a message')
  if (onError !== undefined && typeof onError !== 'function') {
    throw invalid('worker option onError is a function')
  }
  return Object.freeze({ ...given, prefetch: prefetch ?? Math.min(10_000, 2 * concurrency) })
}

function invalid(what: string): MqError {
  return new MqError('invalid_request', what)
}
