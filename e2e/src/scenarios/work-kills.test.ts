/** The main promise of delivery on real processes: whoever is killed, each message is acked or dead at last, exactly. */
import assert from 'node:assert/strict'
import type { FailedAttempt, ShownLetter } from '@popmq/client'
import { SeededRandom } from '@popmq/kit/testing'
import { Cluster } from '../harness/cluster.ts'
import { allSettled, lagSums } from '../harness/group-states.ts'
import { asNdjson, type CommitEvent, streamedEvents } from '../harness/key-skew.ts'
import { type Scene, scenario } from '../harness/scenario.ts'
import { until } from '../harness/waiting.ts'
import { type CrewEvent, WorkCrew } from '../harness/work-crew.ts'

const topic = 'commits'
const group = 'mail'
const seed = Number(process.env['E2E_SEED'] ?? 11)
const workers = 10
const concurrency = 2
const maxAttempts = 3
const most = Number(process.env['E2E_MOST'] ?? 2_000)
/** Of one worker: running, waiting for it, and just done. */
const mostInHand = 4 * concurrency

/** Of an id's last two hexadecimal digits 18 of 256 always fail, and 26 fail once. */
const verdict = `
case "\${id#\${id%??}}" in
0?|10|11) echo "first words" >&2; echo "cannot handle $id" >&2; exit 1 ;;
2?|3[0-9]) if [ "$POPMQ_ATTEMPT" = 1 ]; then echo "not now" >&2; exit 1; fi ;;
esac
exit 0`

function isPoison(id: string): boolean {
  return Number.parseInt(id.slice(-2), 16) <= 0x11
}

scenario(
  'ten workers that fail, and are killed with the brokers, leave each message acked, or dead when it always fails',
  async (scene, t) => {
    const { cluster, events, crew } = await start(scene)
    const client = await cluster.connect()
    const half = Math.floor(events.length / 2)
    const strikes = new Strikes(crew, cluster)

    await produceAmid(scene, { cluster, events: events.slice(0, half), strikes })
    const withinMs = 60_000 + 50 * events.length
    const first = await allSettled(client, { group, sent: half, withinMs })
    const handledBefore = crew.events.length
    // Everything is settled: whatever happens now, none of it may be handled again.
    await Promise.all([strikes.broker(1), strikes.broker(2)])
    await produceAmid(scene, { cluster, events: events.slice(half), strikes })
    await allSettled(client, { group, sent: events.length, withinMs })

    await crew.stop()
    const poison = events.filter(({ id }) => isPoison(id)).map(({ id }) => id)
    const { lines: letters } = await cluster.done('dlq', 'list', group)
    const dlq = client.admin().deadLetters(group)
    const shown = await Promise.all(letters.map(({ id }) => dlq.show(String(id))))
    const unlucky = shown.filter((letter) => !isPoison(idOf(letter)))
    for (const letter of unlucky) assertUnlucky(letter)
    assert.deepEqual(shown.map(idOf).toSorted(), [...poison, ...unlucky.map(idOf)].toSorted())
    const expired = shown.flatMap((letter) => assertTold(letter, strikes.timesMs))
    const { acked, dead, ...others } = await lagSums(cluster, group)
    assert.deepEqual([acked, dead], [events.length - letters.length, letters.length])
    assert.deepEqual(others, {
      ...{ ready: 0, leased: 0, retrying: 0, parked: 0, skipped: 0 },
      high: events.length,
    })
    assert.deepEqual((await cluster.done('inflight', 'list', group)).lines, [])
    assert.deepEqual((await cluster.done('retry', 'list', group)).lines, [])

    const seen = crew.events
    const again = new Set(idsOf(seen.slice(handledBefore)))
    for (const { id } of events.slice(0, half))
      assert.ok(!again.has(id), `${id} came after its end`)
    const repeats = assertRepeatsExplained(seen)
    t.diagnostic(
      `seed ${seed}: ${strikes.told}; ${acked} acked, ${dead} dead (${first.dead} in the first half), ` +
        `${repeats} handled twice; of the dead ${expired.length} attempts expired, ${unlucky.length} never failed but once`,
    )
  },
)

interface Setting {
  readonly cluster: Cluster
  readonly events: readonly CommitEvent[]
  readonly crew: WorkCrew
}

async function start(scene: Scene): Promise<Setting> {
  const cluster = await Cluster.start(scene, { brokers: 2 })
  await cluster.done('topic', 'create', topic, '--partitions', '8')
  await cluster.done(
    ...['group', 'config', group, `maxAttempts=${maxAttempts}`, 'backoff=200ms,400ms'],
    'invisible=5s',
  )
  const events = streamedEvents(seed).slice(0, most)
  const crew = new WorkCrew(scene, cluster, { topic, group, workers, concurrency, verdict })
  return { cluster, events, crew }
}

/** Kills, at random and one after the other. */
class Strikes {
  readonly #crew: WorkCrew
  readonly #cluster: Cluster
  readonly #random = new SeededRandom(seed)
  readonly #done: string[] = []
  /** When each began, in ms since 1970. */
  readonly timesMs: number[] = []

  constructor(crew: WorkCrew, cluster: Cluster) {
    this.#crew = crew
    this.#cluster = cluster
  }

  get told(): string {
    return `killed ${this.#done.join(', ')}`
  }

  get handledCount(): number {
    return this.#crew.handledCount
  }

  /** Two workers at once, or a broker. */
  async next(): Promise<void> {
    if (this.#random.next() < 0.5) await this.broker(1 + this.#pick(this.#cluster.brokers.length))
    else await this.#workers()
  }

  async broker(id: number): Promise<void> {
    const broker = this.#cluster.broker(id)
    const name = `broker-${id}`
    this.#done.push(name)
    this.timesMs.push(Date.now())
    this.#crew.note('killed', name)
    await broker.stop('SIGKILL')
    await broker.start()
    this.#crew.note('back', name)
  }

  async #workers(): Promise<void> {
    const one = this.#pick(workers)
    const pair = [one, (one + 1 + this.#pick(workers - 1)) % workers]
    this.timesMs.push(Date.now())
    this.#done.push(...pair.map((index) => `worker-${index}`))
    await Promise.all(pair.map((index) => this.#crew.kill(index)))
  }

  #pick(count: number): number {
    return Math.floor(this.#random.next() * count)
  }
}

/** Sends events, and strikes at every fifth of the way through what workers do with them. */
async function produceAmid(
  scene: Scene,
  { cluster, events, strikes }: Omit<Setting, 'crew'> & { readonly strikes: Strikes },
): Promise<void> {
  const before = strikes.handledCount
  const file = await scene.file(`commits-${events[0]?.id}.ndjson`, asNdjson(events))
  const producing = cluster.startPopmq('produce', topic, '--file', file, '--key', 'author')
  for (let fifth = 1; fifth < 5; fifth += 1) {
    const goal = before + (fifth * events.length) / 5
    await until(() => strikes.handledCount >= goal, {
      what: `${goal} messages to be handled`,
      everyMs: 50,
    })
    await strikes.next()
  }
  const { code, stderr } = await producing.ended
  assert.equal(code, 0, stderr)
}

function idOf({ message }: ShownLetter): string {
  return (message.value as CommitEvent).id
}

/** What it failed with, at each attempt; those that expired did so around a kill. @returns these */
function assertTold(letter: ShownLetter, killsMs: readonly number[]): FailedAttempt[] {
  const { history, attempts, errorType, error } = letter
  const told = JSON.stringify(letter)
  assert.equal(attempts, maxAttempts, told)
  assert.deepEqual(
    history.map(({ n }) => n),
    [1, 2, 3],
    told,
  )
  const words = isPoison(idOf(letter)) ? `cannot handle ${idOf(letter)}` : 'not now'
  const nacks = history.filter(({ outcome }) => outcome === 'nack')
  const expired = history.filter(({ outcome }) => outcome === 'expired')
  assert.equal(nacks.length + expired.length, history.length, told)
  for (const { at, heldMs } of expired) {
    // Who had it was killed, or its broker was away.
    const isInTime = (killMs: number): boolean => killMs > at - 5_000 && killMs < at + heldMs
    assert.ok(killsMs.some(isInTime), `no kill was in ${told}, but ${killsMs.join(', ')}`)
  }
  assert.equal(letter.cause, history.at(-1)?.outcome, told)
  assert.ok(new Set(nacks.map(({ fingerprint }) => fingerprint)).size <= 1, told)
  for (const at of [0, -1]) {
    const attempt = history.at(at)
    if (attempt?.outcome !== 'nack') continue
    assert.equal(attempt.error?.type, 'exit 1', told)
    assert.equal(attempt.error.message, words, told)
  }
  if (letter.cause === 'nack') {
    assert.equal(errorType, 'exit 1', told)
    assert.equal(error, words, told)
  }
  return expired
}

/** A message that would not have failed again is dead only because its leases ran out around kills. */
function assertUnlucky({ history }: ShownLetter): void {
  const expired = history.filter(({ outcome }) => outcome === 'expired').length
  assert.ok(expired >= maxAttempts - 1, JSON.stringify(history))
}

function idsOf(events: readonly CrewEvent[]): string[] {
  return events.flatMap((event) => (event.kind === 'handled' ? [event.id] : []))
}

/**
 * A message that was done comes again only when its ack was not answered: its worker was killed then, or a broker, which
 * may forget the leases of its last half second: then what a worker had in hand is with another one too. In all cases
 * few others of that worker stand between the kill and the message.
 * @returns how often that was
 */
function assertRepeatsExplained(events: readonly CrewEvent[]): number {
  const done = new Map<string, number>()
  let repeats = 0
  for (const [again, event] of events.entries()) {
    if (event.kind !== 'handled') continue
    const first = done.get(event.id)
    if (first !== undefined) {
      repeats += 1
      const { worker } = event
      assert.ok(
        isExplained(events, { first, again }),
        `${event.id} came to ${worker} when it was done: ${story(events, event.id)}`,
      )
    }
    if (!fails(event)) done.set(event.id, again)
  }
  return repeats
}

function fails({ id, attempt }: { readonly id: string; readonly attempt: number }): boolean {
  const word = Number.parseInt(id.slice(-2), 16)
  return isPoison(id) || (attempt === 1 && word >= 0x20 && word <= 0x39)
}

function isExplained(
  events: readonly CrewEvent[],
  { first, again }: { readonly first: number; readonly again: number },
): boolean {
  const done = events[first]
  assert.ok(done?.kind === 'handled', 'a message was done')
  const { worker } = done
  return events.slice(0, again).some((event, at) => {
    if (event.kind !== 'killed') return false
    const couldBe = event.name.startsWith('broker') || (event.name === worker && at > first)
    if (!couldBe) return false
    const between = events.slice(Math.min(at, first) + 1, Math.max(at, first))
    const others = between.filter((other) => other.kind === 'handled' && other.worker === worker)
    return others.length <= mostInHand
  })
}

/** Where a message was, between the kills. */
function story(events: readonly CrewEvent[], id: string): string {
  const told = events.flatMap((event, at) => {
    if (event.kind !== 'handled') return [`${at} ${event.kind} ${event.name}`]
    return event.id === id ? [`${at} ${event.worker} attempt ${event.attempt}`] : []
  })
  return told.join(', ')
}
