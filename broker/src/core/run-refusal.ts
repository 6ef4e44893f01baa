import { unreachable } from '@popmq/kit'
import { MqError } from '@popmq/protocol'
import type { Run, RunVerdict } from './sequencers/index.ts'

/** Why bytes can never be appended to this log. */
export function tooLong(bytes: number, most: number): MqError {
  return new MqError(
    'message_too_large',
    `a run of ${bytes} bytes does not fit in a segment of ${most}`,
    { facts: { bytes } },
  )
}

/** Why a run cannot be appended, as the producer is told. */
export function refusal(
  verdict: Exclude<RunVerdict, { kind: 'append' | 'duplicate' }>,
  run: Run,
): MqError {
  const which = `run ${run.base}+${run.count} of producer ${run.producerId} epoch ${run.producerEpoch}`
  switch (verdict.kind) {
    case 'gap':
      return new MqError(
        'sequence_gap',
        `${which} leaves a gap: the next base is ${verdict.expectedBase}`,
        {
          facts: { expectedBase: verdict.expectedBase },
        },
      )
    case 'unknown':
      return new MqError(
        'producer_unknown',
        `${which} does not begin at 0 and its producer is not known here`,
      )
    case 'fenced':
      return new MqError(
        'producer_fenced',
        `${which} is of an old epoch: ${verdict.currentEpoch} is in use`,
      )
    case 'reused':
      return new MqError('sequence_reused', `${which} was used for other bytes`)
    case 'tooOld':
      return new MqError('sequence_too_old', `${which} is older than the runs that are remembered`)
    default:
      return unreachable(verdict)
  }
}
