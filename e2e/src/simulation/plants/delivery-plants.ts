import { copyRecord, flags, recordKinds, RecordView, sectionOf } from '@popmq/protocol'
import { crc32 } from '@popmq/kit/checksum'
import type { Plant } from './plant.ts'
import { answerOneLate, type Method, type MethodName, patchMethod } from './product-patch.ts'

/** Bugs in how messages are handed out, and in what waits. */
export const deliveryPlants: readonly Plant[] = [
  { ...about('ack-told-before-sync', 'an ack is answered before it is durable'), patch: tellEarly },
  patched('acks-not-applied', 'a message that was acknowledged stays open', {
    at: inDelivery('delivery', 'Delivery', 'apply'),
    change: (apply) =>
      function (record) {
        return kindOf(record) === recordKinds.settled ? undefined : apply.call(this, record)
      },
  }),
  {
    ...about('copy-settles-nothing', 'the copy of a failed message does not take its place'),
    patch: spareOriginals,
  },
  {
    ...about('nacked-stays-free', 'a message that was nacked is handed out beside its retry'),
    patch: freeNacked,
  },
  patched('retry-before-due', 'a retry is handed out without waiting', {
    at: inDelivery('retry-dispatch', 'RetryDispatch', 'notDue'),
    change: () =>
      function (number) {
        const { book } = this as { readonly book: Book }
        book.free.add(number as number)
      },
  }),
  patched('lease-end-unnoticed', 'nobody notices that a lease is over', {
    at: inDelivery('expiring', 'Expiring', 'watch'),
    change: () => () => undefined,
  }),
  patched(
    'leased-again-when-applied',
    'what was free is on the list again once its lease is applied',
    {
      at: inDelivery('lease-book', 'LeaseBook', 'grant'),
      change: (grant) =>
        function (numbers, lease) {
          const { free } = this as Book
          const before = (numbers as readonly number[]).filter((number) => free.has(number))
          const drop = grant.call(this, numbers, lease) as () => void
          return () => {
            drop()
            for (const number of before) free.add(number)
          }
        },
    },
  ),
  patched('horizon-takes-the-leased', 'a purge takes messages that somebody has in hand', {
    at: inDelivery('popped-partition', 'PoppedPartition', 'horizon'),
    change: (horizon) =>
      function (low) {
        horizon.call(this, low)
        const { open } = this as Partition
        for (const number of open.keys()) if (number < (low as number)) open.delete(number)
      },
  }),
  patched(
    'delays-of-older-checkpoint',
    'a checkpoint holds delayed messages as of the one before',
    {
      at: inBroker('holds/delays', 'Delays', 'encode'),
      change: answerOneLate,
    },
  ),
  patched('cancel-told-done', 'who cancels what was delivered is told that it is done', {
    at: inBroker('holds/firing', 'Firing', 'cancel'),
    change: (cancel) =>
      async function (number) {
        const outcome = (await cancel.call(this, number)) as string
        return outcome === 'delivered' ? 'done' : outcome
      },
  }),
  patched(
    'open-not-in-checkpoint',
    'what is handed out at a checkpoint is forgotten at a restart',
    {
      at: inDelivery('delivery', 'Delivery', 'restore'),
      change: (restore) =>
        function (partition) {
          const { open } = partition as Partition
          open.clear()
          return restore.call(this, partition)
        },
    },
  ),
  {
    ...about('reset-spares-handles', 'handles from before a reset are good behind it'),
    patch: renewHandles,
  },
  patched('letter-without-history', 'a dead letter does not tell of its deliveries', {
    at: inBroker('appender', 'Appender', 'appendCopy'),
    change: (append) =>
      function (bytes, ...more) {
        return append.call(this, withoutHistory(bytes as Uint8Array), ...more)
      },
  }),
  patched('held-not-moved', 'cleaning drops retries and delayed messages', {
    at: inBroker('view-set', 'ViewSet', 'pointsAt'),
    change: () => () => false,
  }),
  patched('letters-of-older-checkpoint', 'a checkpoint holds dead letters as of the one before', {
    at: inBroker('dead-letters/dead-letters', 'DeadLetters', 'encode'),
    change: answerOneLate,
  }),
]

interface Book {
  readonly free: Set<number>
}

interface Partition {
  readonly open: Map<number, unknown>
}

interface Token {
  readonly groupId: number
  readonly key: number
  readonly generation: number
}

function kindOf(record: unknown): number {
  return (record as RecordView).kind
}

/** Whoever waits for the end of such a record waits no more. */
async function tellEarly(): Promise<void> {
  const early = new Set<unknown>()
  await patchMethod(
    inBroker('appender', 'Appender', 'appendControl'),
    (append) =>
      function (control, options) {
        const end = append.call(this, control, options)
        if ((control as { readonly kind: string }).kind === 'settled') early.add(end)
        return end
      },
  )
  const atOnce = (wait: Method): Method =>
    function (end) {
      return early.has(end) ? Promise.resolve() : wait.call(this, end)
    }
  await patchMethod(inBroker('log/commit-log', 'CommitLog', 'whenSynced'), atOnce)
  await patchMethod(inBroker('views', 'Views', 'whenApplied'), atOnce)
}

async function spareOriginals(): Promise<void> {
  let isCopy = false
  await patchMethod(
    inDelivery('delivery', 'Delivery', 'apply'),
    (apply) =>
      function (record) {
        const kind = kindOf(record)
        isCopy = kind === recordKinds.retry || kind === recordKinds.dead
        return apply.call(this, record)
      },
  )
  await patchMethod(
    inDelivery('popped-partition', 'PoppedPartition', 'settle'),
    (settle) =>
      function (number) {
        return isCopy ? false : settle.call(this, number)
      },
  )
}

async function freeNacked(): Promise<void> {
  let isMove = false
  await patchMethod(
    inDelivery('moving', 'Moving', 'begin'),
    (begin) =>
      function (move) {
        isMove = true
        const carryOut = begin.call(this, move)
        isMove = false
        return carryOut
      },
  )
  await patchMethod(
    inDelivery('lease-book', 'LeaseBook', 'settle'),
    (settle) =>
      function (numbers, done) {
        const settlement = settle.call(this, numbers, done) as { readonly applied: () => void }
        if (!isMove) return settlement
        const { free } = this as Book
        const applied = (): void => {
          settlement.applied()
          for (const number of numbers as readonly number[]) free.add(number)
        }
        return { ...settlement, applied }
      },
  )
}

/** A handle is taken for one of the newest generation of its partition. */
async function renewHandles(): Promise<void> {
  const all = new WeakMap<object, Map<string, number>>()
  const newestOf = (tokens: unknown): Map<string, number> => {
    const newest = all.get(tokens as object) ?? new Map<string, number>()
    all.set(tokens as object, newest)
    return newest
  }
  const nameOf = ({ groupId, key }: Token): string => `${groupId} ${key}`
  await patchMethod(
    inDelivery('lease-token', 'LeaseTokens', 'sign'),
    (sign) =>
      function (token) {
        const newest = newestOf(this)
        const name = nameOf(token as Token)
        newest.set(name, Math.max((token as Token).generation, newest.get(name) ?? 0))
        return sign.call(this, token)
      },
  )
  await patchMethod(
    inDelivery('lease-token', 'LeaseTokens', 'read'),
    (read) =>
      function (bytes) {
        const token = read.call(this, bytes) as Token | undefined
        if (token === undefined) return undefined
        return { ...token, generation: newestOf(this).get(nameOf(token)) ?? token.generation }
      },
  )
}

function withoutHistory(bytes: Uint8Array): Uint8Array {
  const record = new RecordView(bytes)
  const source = sectionOf(record, flags.source)
  if (record.kind !== recordKinds.dead || source === undefined) return bytes
  const { topicId, partition, attempt } = record
  return copyRecord(record, { kind: 'dead', topicId, partition, attempt, source }, crc32)
}

function about(name: string, what: string): Pick<Plant, 'name' | 'what' | 'isAboutDeliveries'> {
  return { name, what, isAboutDeliveries: true }
}

function patched(
  name: string,
  what: string,
  how: { at: MethodName; change: (original: Method) => Method },
): Plant {
  return { ...about(name, what), patch: () => patchMethod(how.at, how.change) }
}

function inDelivery(file: string, className: string, method: string): MethodName {
  return inBroker(`delivery/${file}`, className, method)
}

function inBroker(path: string, className: string, method: string): MethodName {
  return { package: '@popmq/broker', module: `core/${path}.js`, className, method }
}
