import type {
  Handles,
  PopConsumer,
  PopConsumerOptions,
  PoppedMessage,
  PopReason,
  PopReceiveOptions,
  Settled,
  WorkContext,
  Worker,
  WorkerOptions,
  WorkHandler,
} from '@popmq/client'
import { MqError } from '@popmq/protocol'
import { complete } from './complete.ts'

export interface FakePopOptions {
  /** What is popped, an answer each; an error rejects. Then nothing more comes. */
  readonly popped?: readonly (readonly PoppedMessage[] | MqError)[]
  /** What a handle's settling leads to. @defaultValue what was asked for */
  readonly onSettle?: (verb: string, handle: string) => Settled['result']
  readonly lastReason?: PopReason
  /** Given to handlers. @defaultValue one that is never aborted */
  readonly workSignal?: AbortSignal
  /** What the worker meets beside its messages. */
  readonly workError?: MqError
  /** Told of each handler that is done, with what it threw. */
  readonly onHandled?: (message: PoppedMessage, thrown: unknown) => void
}

type Remember = (what: string, given: readonly unknown[]) => void

const done = {
  ack: 'acked',
  nack: 'retrying',
  release: 'released',
} as const satisfies Record<string, Settled['result']>

/** Makes pop consumers that give what is popped, and remember what they were asked and what was settled. */
export function fakePopConsumer(
  { popped = [], onSettle, lastReason }: FakePopOptions,
  remember: Remember,
): (options: PopConsumerOptions) => PopConsumer {
  const left = [...popped]
  const settle =
    (verb: keyof typeof done) =>
    async (handles: Handles, options?: object): Promise<Settled[]> => {
      const all = handlesOf(handles)
      remember(verb, options === undefined ? [all] : [all, options])
      return all.map((handle) => ({ handle, result: onSettle?.(verb, handle) ?? done[verb] }))
    }
  return (options) => {
    remember('popConsumer', [options])
    return complete<PopConsumer>('pop consumer', {
      lastReason,
      receive: async (how: PopReceiveOptions = {}) => {
        remember('receive', [how])
        if (how.signal?.aborted === true) throw new MqError('aborted', 'stopped')
        const answer = left.shift() ?? []
        if (answer instanceof MqError) throw answer
        return answer
      },
      ack: settle('ack'),
      nack: settle('nack'),
      release: settle('release'),
      close: async () => remember('popConsumer.close', []),
    })
  }
}

/** Makes workers that handle all that is popped at once. Closing one waits for its handlers. */
export function fakeWorker(
  options: FakePopOptions,
  remember: Remember,
): (worker: WorkerOptions, handler: WorkHandler) => Worker {
  const { popped = [], workError, onHandled } = options
  const { workSignal: signal = new AbortController().signal } = options
  return ({ onError, ...worker }, handler) => {
    remember('worker', [worker])
    const messages = popped.flatMap((answer) => (answer instanceof MqError ? [] : answer))
    const handled = messages.map(async (message) => {
      await Promise.resolve()
      const { attempt } = message
      const context = complete<WorkContext>('context', { attempt, signal })
      try {
        await handler(message, context)
        onHandled?.(message, undefined)
      } catch (thrown) {
        onHandled?.(message, thrown)
      }
    })
    if (workError !== undefined) queueMicrotask(() => onError?.(workError))
    return complete<Worker>('worker', {
      close: async (how) => {
        remember('worker.close', [how])
        await Promise.all(handled)
      },
    })
  }
}

function handlesOf(handles: Handles): string[] {
  const all = typeof handles === 'string' || 'handle' in handles ? [handles] : handles
  return all.map((handle) => (typeof handle === 'string' ? handle : handle.handle))
}
