import { type Clock, deferred } from '@popmq/kit'
import {
  MqError,
  type pop,
  type popHint,
  type ReplyOf,
  type RequestOf,
  type TopicId,
} from '@popmq/protocol'
import type { Answer, RequestContext } from '@popmq/transport'
import type { Dispatch } from '../core/delivery/dispatch.ts'
import type { GroupDispatch, Wanted } from '../core/delivery/group-dispatch.ts'
import type { Popped } from '../core/delivery/popping.ts'

export interface PopParts {
  readonly dispatch: Pick<Dispatch, 'group' | 'popping' | 'settling' | 'tokens'>
  readonly clock: Clock
  readonly isStopping: () => boolean
}

type Context = Pick<RequestContext, 'isClosed' | 'onClosed'>

/** Hands out messages; while there are none, holds the request until there are or its time is up. */
export async function handlePop(
  request: RequestOf<typeof pop>,
  context: Context,
  { dispatch, clock, isStopping }: PopParts,
): Promise<Answer<ReplyOf<typeof pop>>> {
  const { max, maxBytes, consumer, waitMs } = request
  const group = dispatch.group(request.groupId)
  const wanted = wantedOf(group, request)
  if (!dispatch.tokens.isReady)
    throw new MqError('not_leader', 'the broker has no key for handles yet', { retryAfterMs: 100 })
  const invisibleMs = request.invisibleMs ?? group.group.policy.invisibleMs
  const asked = { ...wanted, max, maxBytes, consumer, invisibleMs }
  try {
    const atOnce = await dispatch.popping.pop(group, asked)
    if (atOnce.runs.length > 0) return await handOver(atOnce, group, { asked, context, dispatch })
    const hasRoom = (): boolean => group.roomOf(consumer).left > 0
    const waiting = new Waiting({ group, wanted, hasRoom, clock, waitMs }, context)
    try {
      for (;;) {
        // Held before it looks: what comes meanwhile wakes it too.
        waiting.hold()
        checkThere(dispatch, group)
        const popped = await dispatch.popping.pop(group, asked)
        if (popped.runs.length > 0 || waiting.isOver || isStopping())
          return await handOver(popped, group, { asked, context, dispatch })
        await waiting.woken()
      }
    } finally {
      waiting.end()
    }
  } finally {
    // Whoever was woken and did not take all lets the next one look.
    group.passOn()
  }
}

/** Waits until a pop would find something. Grants nothing. */
export async function handlePopHint(
  request: RequestOf<typeof popHint>,
  context: Context,
  { dispatch, clock, isStopping }: PopParts,
): Promise<Answer<ReplyOf<typeof popHint>>> {
  const group = dispatch.group(request.groupId)
  const wanted = wantedOf(group, request)
  const { waitMs } = request
  const waiting = new Waiting({ group, wanted, hasRoom: () => true, clock, waitMs }, context)
  try {
    for (;;) {
      waiting.hold()
      checkThere(dispatch, group)
      const isReady = group.isReady(wanted)
      if (isReady || waiting.isOver || isStopping()) return { reply: { isReady } }
      await waiting.woken()
    }
  } finally {
    waiting.end()
    group.passOn()
  }
}

/** It may have been deleted while the request was held. @throws MqError `group_not_found` */
function checkThere(dispatch: Pick<Dispatch, 'group'>, { id }: GroupDispatch): void {
  dispatch.group(id)
}

interface WaitingParts {
  readonly group: GroupDispatch
  readonly wanted: Wanted
  readonly hasRoom: () => boolean
  readonly clock: Clock
  readonly waitMs: number
}

/** A held request: woken by what can be handed out, by its time, or by the end of its connection. */
class Waiting {
  readonly #parts: WaitingParts
  readonly #untilMs: number
  readonly #isClosed: () => boolean
  #timer: { cancel(): void } | undefined
  #woken = deferred()
  #letGo: () => void = () => undefined

  constructor(parts: WaitingParts, context: Context) {
    this.#parts = parts
    const { clock, waitMs } = parts
    this.#untilMs = clock.monotonic() + waitMs
    this.#isClosed = () => context.isClosed
    context.onClosed(() => this.#woken.resolve())
  }

  get isOver(): boolean {
    return this.#isClosed() || this.#parts.clock.monotonic() >= this.#untilMs
  }

  hold(): void {
    const { group, wanted, hasRoom } = this.#parts
    this.#letGo()
    this.#woken = deferred()
    this.#letGo = group.waiters.hold({ ...wanted, hasRoom, wake: this.#woken.resolve })
  }

  woken(): Promise<void> {
    const { clock } = this.#parts
    const leftMs = this.#untilMs - clock.monotonic()
    // A timer may come a little early: then another is set for the rest.
    this.#timer ??= clock.after(Math.max(0, Math.ceil(leftMs)), () => {
      this.#timer = undefined
      this.#woken.resolve()
    })
    return this.#woken.promise
  }

  end(): void {
    this.#letGo()
    this.#timer?.cancel()
  }
}

function wantedOf(
  group: GroupDispatch,
  {
    topics,
    retriesOnly = false,
  }: { readonly topics: readonly TopicId[]; readonly retriesOnly?: boolean },
): Wanted {
  for (const id of topics) {
    const topic = group.topic(id)
    if (topic === undefined)
      throw new MqError('topic_not_found', `the group reads no topic ${id} that this broker knows`)
    if (topic.mode !== 'pop' && !(retriesOnly && topic.mode === 'pull'))
      throw new MqError(
        'subscription_conflict',
        `the group reads topic ${id} by ${topic.mode}, not by pop`,
      )
  }
  return { topics: new Set(topics), retriesOnly }
}

/** Whoever asked may be gone: then the messages go to others at once, and the delivery does not count. */
async function handOver(
  { runs, slices, leases, reason }: Popped,
  group: GroupDispatch,
  {
    asked: { topics },
    context,
    dispatch: { settling },
  }: { asked: Wanted; context: Context; dispatch: Pick<Dispatch, 'settling'> },
): Promise<Answer<ReplyOf<typeof pop>>> {
  if (context.isClosed && runs.length > 0) {
    await settling.release(group, leases)
    return { reply: { runs: [] } }
  }
  const isPaused = [...topics].some((id) => group.topic(id)?.isPaused === true)
  const why = reason ?? (isPaused && runs.length === 0 ? 'paused' : undefined)
  return { reply: { runs, ...(why === undefined ? {} : { reason: why }) }, slices }
}
