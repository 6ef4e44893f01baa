import { MqError } from '@popmq/client'

/** When a start came how far, in ms since the process was started. */
export interface StartSteps {
  /** The program is loaded and the registry is open: the coordinator leads. */
  readonly leadingMs: number
  /** The log is made whole. */
  readonly recoveredMs: number
  /** What is derived from the log is rebuilt, and the broker serves. */
  readonly servingMs: number
}

/** What the broker tells of its recovery. */
export interface RecoveryFigures {
  readonly logBytes: number
  /** How much of the log was read again, from the checkpoint on. */
  readonly verifiedBytes: number
  /** An unfinished end that was cut off. */
  readonly cutBytes: number
  readonly isClean: boolean
}

interface LogEvent {
  readonly at: number
  readonly fields: string
}

const line = /^(\S+) info (\S+)(.*)$/

/** What `popmq dev` logs of one start. */
export class StartLog {
  readonly #events = new Map<string, LogEvent>()

  /** Lines of other events are passed by. */
  take(text: string): void {
    const [, at, event, fields] = line.exec(text) ?? []
    if (at === undefined || event === undefined || this.#events.has(event)) return
    this.#events.set(event, { at: Date.parse(at), fields: fields ?? '' })
  }

  /** `startedAt` is wall time: so are the times of the log. @throws MqError `internal` before it serves */
  steps(startedAt: number): StartSteps {
    const since = (event: string): number => this.#event(event).at - startedAt
    return {
      leadingMs: since('coordinator_leading'),
      recoveredMs: since('log_recovered'),
      servingMs: since('broker_serving'),
    }
  }

  /** @throws MqError `internal` before the log is recovered */
  figures(): RecoveryFigures {
    const { fields } = this.#event('log_recovered')
    const field = (name: string): string => {
      const value = new RegExp(` ${name}=(\\S+)`).exec(fields)?.[1]
      if (value === undefined) throw new MqError('internal', `log_recovered does not tell ${name}`)
      return value
    }
    return {
      logBytes: Number(field('endPosition')),
      verifiedBytes: Number(field('verifiedBytes')),
      cutBytes: Number(field('cutBytes')),
      isClean: field('isClean') === 'true',
    }
  }

  #event(name: string): LogEvent {
    const event = this.#events.get(name)
    if (event === undefined) throw new MqError('internal', `the log of popmq dev has no ${name}`)
    return event
  }
}
