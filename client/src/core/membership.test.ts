import assert from 'node:assert/strict'
import { test } from 'node:test'
import { epoch, type Grant, groupId, offset, partitionNumber, topicId } from '@popmq/protocol'
import fc from 'fast-check'
import { type Pick, type Step, step } from '../testing/membership-steps.ts'
import type { CommitEntry, HeldPartition } from './held-partition.ts'
import { Membership } from './membership.ts'

const sessionMs = 6_000
const drainMs = 3_000
const topic = topicId(1)

interface Granted {
  readonly epoch: number
  readonly offset: number
}

/** What the last answer said, and what became of each partition since: the plainest bookkeeping. */
class Model {
  now = 0
  sentAt = 0
  grants = new Map<number, Granted>()
  revoking = new Map<number, number>()
  isPaused = false
  isMember = true
  readonly fenced = new Set<number>()
  /** By partition and epoch: delivered, handled, committed. */
  readonly reached = new Map<string, { delivered: number; handled: number; committed: number }>()
  readonly givenUp = new Set<string>()
  /** The newest grant that an answer named, by partition: it may come again from the past. */
  readonly past = new Map<number, number>()
  /** When it was given up. */
  readonly gaveUpAt = new Map<number, number>()
  readonly drainsUntil = new Map<string, number>()

  at(partition: number, of: number) {
    return this.reached.get(`${partition}/${of}`)
  }

  mayDeliver(partition: number): boolean {
    const grant = this.grants.get(partition)
    if (grant === undefined || !this.isMember || this.isPaused || this.fenced.has(partition))
      return false
    return (
      this.now < this.sentAt + (sessionMs * 5) / 6 &&
      !this.givenUp.has(`${partition}/${grant.epoch}`)
    )
  }
}

class Run {
  readonly #machine = new Membership({ isAuto: true, asksUser: false, drainMs })
  readonly #model = new Model()
  #epoch = 1
  #version = 0
  releases = 0
  deliveries = 0

  constructor() {
    this.#machine.joined({ groupId: groupId(1), memberId: 'm', sessionMs }, 0)
  }

  apply(step: Step): void {
    const model = this.#model
    if (step.kind === 'assign') this.#assign(step.picks, step.paused)
    else if (step.kind === 'pass') model.now += step.ms
    else if (step.kind === 'deliver') this.#deliver(step.partition, step.count)
    else if (step.kind === 'fence') this.#fence(step.partition)
    else if (step.kind === 'commit') this.#commit(step.how)
    else if (step.kind === 'release') this.#release()
    else if (step.kind === 'renew') this.#answer(undefined)
    else if (step.kind === 'late') this.#late()
    else if (step.kind === 'unknown') this.#unknown()
    else {
      this.#machine.asked()
      for (const reached of model.reached.values()) reached.handled = reached.delivered
    }
    for (const partition of [0, 1, 2, 3]) {
      const held = this.#machine.find(topic, partition)
      const may = held !== undefined && this.#machine.mayDeliver(held, model.now)
      assert.equal(may, model.mayDeliver(partition), `partition ${partition} after ${step.kind}`)
    }
  }

  #assign(picks: readonly (readonly [Pick, number])[], paused: boolean): void {
    const model = this.#model
    model.now += 1
    const grants = new Map<number, Granted>()
    const revoking = new Map<number, number>()
    for (const [partition, [pick, at]] of picks.entries()) {
      const before = model.grants.get(partition)
      const wasRevoking = model.revoking.get(partition)
      const past = wasRevoking ?? (before === undefined ? model.past.get(partition) : undefined)
      const isKept = wasRevoking !== undefined && !model.givenUp.has(`${partition}/${wasRevoking}`)
      if (pick === 'restore' && past !== undefined) {
        grants.set(partition, this.#restored(partition, past, isKept))
      } else if (isKept && pick !== 'drop') revoking.set(partition, wasRevoking)
      else if (pick === 'keep' && before !== undefined) grants.set(partition, before)
      else if (pick === 'revoke' && before !== undefined) revoking.set(partition, before.epoch)
      else if (pick !== 'drop') {
        this.#epoch += 1
        grants.set(partition, { epoch: this.#epoch, offset: at })
      }
    }
    for (const [partition, of] of revoking) {
      const name = `${partition}/${of}`
      if (!model.drainsUntil.has(name)) model.drainsUntil.set(name, model.now + drainMs)
    }
    model.isPaused = paused
    this.#answer({ grants, revoking })
  }

  /** A coordinator took over that knows nothing of the revocation. */
  #restored(partition: number, of: number, isKept: boolean): Granted {
    const model = this.#model
    const name = `${partition}/${of}`
    const committed = model.at(partition, of)?.committed ?? 0
    model.drainsUntil.delete(name)
    model.givenUp.delete(name)
    if (!isKept) model.reached.delete(name)
    return { epoch: of, offset: committed }
  }

  #answer(next: { grants: Map<number, Granted>; revoking: Map<number, number> } | undefined): void {
    const model = this.#model
    if (next !== undefined) {
      for (const partition of [...model.grants.keys(), ...model.revoking.keys()]) {
        const isThere = next.grants.has(partition) || next.revoking.has(partition)
        if (!isThere) model.gaveUpAt.set(partition, model.now)
      }
      model.grants = next.grants
      model.revoking = next.revoking
      for (const [partition, { epoch: of, offset: at }] of next.grants) {
        const name = `${partition}/${of}`
        model.past.set(partition, of)
        if (!model.reached.has(name))
          model.reached.set(name, { delivered: at, handled: at, committed: at })
      }
    }
    model.sentAt = model.now
    model.fenced.clear()
    this.#tell(next === undefined ? undefined : model.grants)
  }

  /** An answer to a request that was sent before what happened since; it may name grants that are over. */
  #late(): void {
    const { grants, past, now } = this.#model
    if (now === this.#model.sentAt) return
    const all = new Map(grants)
    for (const [partition, of] of past) {
      const isLater = (this.#model.gaveUpAt.get(partition) ?? 0) < this.#model.sentAt
      const isKnown = all.has(partition) || this.#model.revoking.has(partition)
      if (!isKnown && !isLater) all.set(partition, { epoch: of, offset: 0 })
    }
    this.#tell(all)
  }

  #tell(grants: ReadonlyMap<number, Granted> | undefined): void {
    const { sentAt, now, revoking, isPaused } = this.#model
    this.#version += 1
    const place = (partition: number) => ({ topicId: topic, partition: partitionNumber(partition) })
    const assignment = grants && {
      grants: [...grants].map(([partition, { epoch: of, offset: at }]): Grant => {
        return { ...place(partition), epoch: epoch(of), offset: offset(at) }
      }),
      revoking: [...revoking].map(([partition, of]) => ({ ...place(partition), epoch: epoch(of) })),
      paused: isPaused ? [topic] : [],
    }
    const reply = { version: this.#version, ...(assignment === undefined ? {} : { assignment }) }
    this.#machine.answered(reply, sentAt, now)
  }

  #deliver(partition: number, count: number): void {
    const held = this.#machine.find(topic, partition)
    if (held === undefined || !this.#machine.mayDeliver(held, this.#model.now)) return
    const reached = this.#model.at(partition, held.epoch)
    assert.ok(reached)
    assert.equal(held.delivered, reached.delivered, 'reading goes on where it was')
    reached.delivered += count
    this.#machine.delivered(held, reached.delivered)
    this.deliveries += 1
  }

  #fence(partition: number): void {
    const held = this.#machine.find(topic, partition)
    if (held === undefined) return
    this.#machine.fenced(held, this.#model.now)
    this.#model.fenced.add(partition)
    // What is asked now is asked after it.
    this.#model.now += 1
  }

  #commit(how: 'taken' | 'failed' | 'fenced'): void {
    const model = this.#model
    for (const entry of this.#machine.dueCommits('all')) {
      const reached = model.at(entry.partition, entry.epoch)
      assert.ok(reached && entry.offset <= reached.handled, 'only what is handled is committed')
      if (how === 'taken') {
        reached.committed = entry.offset
        this.#machine.committed(entry)
      } else if (how === 'fenced') this.#fence(entry.partition)
      else this.#notCommitted(entry)
    }
  }

  #notCommitted(entry: CommitEntry): void {
    const { now, drainsUntil } = this.#model
    this.#machine.notCommitted(entry, now)
    const isOver = now >= (drainsUntil.get(`${entry.partition}/${entry.epoch}`) ?? Infinity)
    const reached = this.#model.at(entry.partition, entry.epoch)
    if (isOver && reached !== undefined) reached.handled = reached.committed
  }

  #release(): void {
    const model = this.#model
    const released = this.#machine.takeReleases(model.now)
    this.#machine.releaseAnswered(released, model.now)
    for (const { partition, epoch: of } of released) {
      const name = `${partition}/${of}`
      assert.equal(model.revoking.get(partition), of, 'only what is revoked is released')
      assert.ok(!model.givenUp.has(name), 'nothing is released twice')
      model.givenUp.add(name)
      model.gaveUpAt.set(partition, model.now)
      this.releases += 1
      const reached = model.reached.get(name)
      if (reached === undefined || model.fenced.has(partition)) continue
      assert.ok(reached.committed >= reached.handled, 'the final commit precedes the release')
      const isOver = model.now >= (model.drainsUntil.get(name) ?? Infinity)
      assert.ok(isOver || reached.handled >= reached.delivered, 'what is in hand is waited for')
    }
  }

  #unknown(): void {
    const model = this.#model
    const expected = [...model.grants.keys(), ...model.revoking.keys()].filter((partition) => {
      const of = model.grants.get(partition)?.epoch ?? model.revoking.get(partition)
      return !model.givenUp.has(`${partition}/${of}`)
    })
    const lost = this.#machine.unknown().map((held: HeldPartition) => Number(held.partition))
    assert.deepEqual(new Set(lost), new Set(expected), 'all is lost at once')
    assert.deepEqual([...this.#machine.partitions], [])
    model.grants.clear()
    model.revoking.clear()
    model.reached.clear()
    model.past.clear()
    this.#machine.joined({ groupId: groupId(1), memberId: 'm', sessionMs }, model.now)
    model.sentAt = model.now
    model.fenced.clear()
  }
}

void test('whatever is granted, revoked, lost and fenced, only what holds is delivered, and commits precede releases', () => {
  let releases = 0
  let deliveries = 0
  const property = fc.property(fc.array(step, { minLength: 30, maxLength: 60 }), (steps) => {
    const run = new Run()
    for (const each of steps) run.apply(each)
    releases += run.releases
    deliveries += run.deliveries
  })
  fc.assert(property, { numRuns: 300, seed: 7 })
  assert.ok(releases > 100 && deliveries > 100, `${releases} releases, ${deliveries} deliveries`)
})
