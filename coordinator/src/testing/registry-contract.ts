import assert from 'node:assert/strict'
import { test } from 'node:test'
import { deferred } from '@popmq/kit'
import { isMqError } from '@popmq/protocol'
import { type CommitOutcome, type RegistryOp, registryLimits, type RegistrySession } from '../core/registry-port.ts'

/** A registry of its own for one test, empty, or with a root of its own that is. */
export interface RegistrySubject {
  openSession(lost: (reason: Error) => void): Promise<RegistrySession>
  /** Ends a session as a network that is cut for long does; absent where that cannot happen. */
  readonly expire?: (session: RegistrySession) => Promise<void>
  close(): Promise<void>
}

interface Case {
  readonly subject: RegistrySubject
  readonly session: RegistrySession
  /** Another session on the same registry. */
  readonly other: RegistrySession
}

/**
 * What every registry must do. Nothing here looks at a clock: what comes late, as a watch may, is awaited. An outcome
 * `unknown` is not expected: the subject's registry is well.
 */
export function registryContract(name: string, make: () => Promise<RegistrySubject>): void {
  const fact = (sentence: string, check: (one: Case) => Promise<void>): void => {
    void test(`${name} registry: ${sentence}`, async () => {
      const subject = await make()
      try {
        const session = await subject.openSession(unexpected)
        await check({ subject, session, other: await subject.openSession(unexpected) })
      } finally {
        await subject.close()
      }
    })
  }
  nodes(fact)
  commits(fact)
  sessions(fact)
  watches(fact)
}

type Fact = (sentence: string, check: (one: Case) => Promise<void>) => void

const applied: CommitOutcome = { kind: 'applied' }
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const create = (path: string, value = '', ephemeral = false): RegistryOp => ({ kind: 'create', path, value: bytes(value), ephemeral })
const set = (path: string, value: string, version?: number): RegistryOp => ({ kind: 'set', path, value: bytes(value), ...at(version) })
const remove = (path: string, version?: number): RegistryOp => ({ kind: 'remove', path, ...at(version) })
const check = (path: string, version?: number): RegistryOp => ({ kind: 'check', path, ...at(version) })
const at = (version: number | undefined): { version?: number } => (version === undefined ? {} : { version })

async function seen(session: RegistrySession, path: string): Promise<[string, number] | undefined> {
  const node = await session.read(path)
  return node && [new TextDecoder().decode(node.value), node.version]
}

function unexpected(reason: Error): void {
  throw new Error('a session was lost', { cause: reason })
}

function nodes(fact: Fact): void {
  fact('the root is there and empty, and what is not there reads as undefined', async ({ session }) => {
    assert.deepEqual(await session.children('/'), [])
    assert.equal(await session.read('/a'), undefined)
    assert.equal(await session.children('/a'), undefined)
  })
  fact('a version is 1 at first, grows by 1 with each set, and starts anew after a remove', async ({ session }) => {
    assert.deepEqual(await session.commit([create('/a', 'one')]), applied)
    assert.deepEqual(await seen(session, '/a'), ['one', 1])
    assert.deepEqual(await session.commit([set('/a', 'two', 1)]), applied)
    assert.deepEqual(await session.commit([set('/a', 'three')]), applied)
    assert.deepEqual(await seen(session, '/a'), ['three', 3])
    assert.deepEqual(await session.commit([remove('/a', 3), create('/a', 'again')]), applied)
    assert.deepEqual(await seen(session, '/a'), ['again', 1])
  })
  fact('children are told by name, sorted', async ({ session }) => {
    await session.commit([create('/a'), create('/a/c'), create('/a/b'), create('/a/b/d'), create('/a-b')])
    assert.deepEqual(await session.children('/a'), ['b', 'c'])
    assert.deepEqual(await session.children('/'), ['a', 'a-b'])
    await session.commit([remove('/a/c')])
    assert.deepEqual(await session.children('/a'), ['b'])
  })
  fact('a value belongs to the registry: changing the bytes given or read changes nothing', async ({ session }) => {
    const given = bytes('kept')
    await session.commit([{ kind: 'create', path: '/a', value: given }])
    given.fill(0)
    const read = await session.read('/a')
    read?.value.fill(0)
    assert.deepEqual(await seen(session, '/a'), ['kept', 1])
  })
  fact('a value of 512 KiB and a commit of 256 KiB fit', async ({ session }) => {
    const large = new Uint8Array(registryLimits.valueBytes).fill(7)
    assert.deepEqual(await session.commit([{ kind: 'create', path: '/large', value: large }]), applied)
    assert.deepEqual((await session.read('/large'))?.value, large)
    const ops = Array.from({ length: 250 }, (_, index) => create(`/n${index}`, 'x'.repeat(900)))
    assert.deepEqual(await session.commit(ops), applied)
    assert.equal((await session.children('/'))?.length, 251)
  })
}

function commits(fact: Fact): void {
  const refusals: [string, RegistryOp, CommitOutcome][] = [
    ['creating what is there', create('/a'), { kind: 'rejected', index: 1, reason: 'exists' }],
    ['creating below nothing', create('/no/child'), { kind: 'rejected', index: 1, reason: 'missing' }],
    ['creating below an ephemeral node', create('/e/child'), { kind: 'rejected', index: 1, reason: 'children' }],
    ['setting what is not there', set('/no', ''), { kind: 'rejected', index: 1, reason: 'missing' }],
    ['setting another version', set('/a', '', 2), { kind: 'rejected', index: 1, reason: 'version' }],
    ['removing what is not there', remove('/no'), { kind: 'rejected', index: 1, reason: 'missing' }],
    ['removing another version', remove('/a/b', 2), { kind: 'rejected', index: 1, reason: 'version' }],
    ['removing what has children', remove('/a'), { kind: 'rejected', index: 1, reason: 'children' }],
    ['checking what is not there', check('/no'), { kind: 'rejected', index: 1, reason: 'missing' }],
    ['checking another version', check('/a', 2), { kind: 'rejected', index: 1, reason: 'version' }],
  ]
  for (const [what, op, outcome] of refusals) {
    fact(`${what} rejects the whole commit`, async ({ session }) => {
      await session.commit([create('/a', 'old'), create('/a/b'), create('/e', '', true)])
      assert.deepEqual(await session.commit([create('/before'), op, create('/after')]), outcome)
      assert.deepEqual(await session.children('/'), ['a', 'e'])
      assert.deepEqual(await seen(session, '/a'), ['old', 1])
      assert.deepEqual(await session.children('/a'), ['b'])
    })
  }
  fact('an op sees what those before it in the commit have done', async ({ session }) => {
    const ops = [create('/a'), create('/a/b', 'x'), set('/a/b', 'y', 1), check('/a/b', 2), remove('/a/b', 2), remove('/a')]
    assert.deepEqual(await session.commit(ops), applied)
    assert.deepEqual(await session.children('/'), [])
  })
  fact('a rejected commit undoes sets and removes too', async ({ session }) => {
    await session.commit([create('/a', 'old'), create('/a/b', 'kept')])
    const outcome = await session.commit([set('/a', 'new'), remove('/a/b'), check('/no')])
    assert.deepEqual(outcome, { kind: 'rejected', index: 2, reason: 'missing' })
    assert.deepEqual(await seen(session, '/a'), ['old', 1])
    assert.deepEqual(await seen(session, '/a/b'), ['kept', 1])
    assert.deepEqual(await session.children('/a'), ['b'])
  })
  fact('a commit without changes is fine', async ({ session }) => {
    assert.deepEqual(await session.commit([]), applied)
    assert.deepEqual(await session.commit([check('/', 1)]), { kind: 'applied' })
    await session.commit([create('/a')])
    assert.deepEqual(await session.commit([check('/a'), check('/a', 1)]), applied)
  })
  fact('of commits that compare the same version one is applied', async ({ session, other }) => {
    await session.commit([create('/a', '0')])
    const outcomes = await Promise.all(
      Array.from({ length: 50 }, (_, index) => (index % 2 === 0 ? session : other).commit([set('/a', `${index}`, 1)])),
    )
    assert.equal(outcomes.filter(({ kind }) => kind === 'applied').length, 1)
    assert.equal((await seen(session, '/a'))?.[1], 2)
  })
  fact('many commits at once are all done', async ({ session }) => {
    await session.commit([create('/a', '0')])
    const outcomes = await Promise.all(Array.from({ length: 200 }, (_, index) => session.commit([set('/a', `${index}`)])))
    assert.ok(outcomes.every(({ kind }) => kind === 'applied'))
    assert.deepEqual(await seen(session, '/a'), ['199', 201])
  })
}

function sessions(fact: Fact): void {
  fact('a commit is seen by another session', async ({ session, other }) => {
    const told = deferred()
    other.watch('/', told.resolve)
    await session.commit([create('/a', 'shared')])
    await told.promise
    assert.deepEqual(await seen(other, '/a'), ['shared', 1])
  })
  fact('an ephemeral node goes with its session and with no other', async ({ subject, session, other }) => {
    const third = await subject.openSession(unexpected)
    await session.commit([create('/a'), create('/a/mine', 'x', true)])
    await third.commit([create('/a/theirs', '', true)])
    assert.equal((await session.read('/a/mine'))?.ephemeral, true)
    assert.equal((await session.read('/a'))?.ephemeral, false)
    const told = deferred()
    other.watch('/a', told.resolve)
    await third.close()
    await told.promise
    assert.deepEqual(await other.children('/a'), ['mine'])
  })
  fact('after its close a session reads nothing and commits nothing', async ({ session, other }) => {
    await session.close()
    await session.close()
    await assert.rejects(session.read('/'), (error: unknown) => isMqError(error, 'registry_unavailable'))
    await assert.rejects(session.children('/'), (error: unknown) => isMqError(error, 'registry_unavailable'))
    assert.deepEqual(await session.commit([create('/late')]), { kind: 'unknown' })
    assert.equal(await other.read('/late'), undefined)
  })
  fact('an expired session is told so once, and its ephemeral nodes go', async ({ subject, other }) => {
    if (subject.expire === undefined) return assert.ok(true)
    let times = 0
    const lost = deferred()
    const session = await subject.openSession(() => {
      times += 1
      lost.resolve()
    })
    await session.commit([create('/mine', '', true), create('/stays')])
    const told = deferred()
    other.watch('/mine', told.resolve)
    await subject.expire(session)
    await Promise.all([lost.promise, told.promise])
    assert.deepEqual(await other.children('/'), ['stays'])
    assert.deepEqual(await session.commit([create('/late')]), { kind: 'unknown' })
    await session.close()
    assert.equal(times, 1)
  })
}

function watches(fact: Fact): void {
  const changes: [string, RegistryOp][] = [
    ['is set', set('/a/b', 'new')],
    ['is removed', remove('/a/b')],
    ['gets a child', create('/a/b/c')],
  ]
  for (const [what, op] of changes) {
    fact(`a watch tells when its node ${what}`, async ({ session, other }) => {
      await session.commit([create('/a'), create('/a/b')])
      const told = deferred()
      session.watch('/a/b', told.resolve)
      await other.commit([op])
      await told.promise
      assert.notDeepEqual([await seen(session, '/a/b'), await session.children('/a/b')], [['', 1], []])
    })
  }
  fact('a watch tells when its node is made, and again later', async ({ session }) => {
    let told = deferred()
    session.watch('/a', () => told.resolve())
    await session.commit([create('/a')])
    await told.promise
    told = deferred()
    await session.commit([set('/a', 'new')])
    await told.promise
    assert.deepEqual(await seen(session, '/a'), ['new', 2])
  })
  fact('a watch that was stopped tells nothing, another on the same node does', async ({ session }) => {
    let stoppedTold = 0
    const told = deferred()
    const stop = session.watch('/a', () => (stoppedTold += 1))
    session.watch('/a', told.resolve)
    stop()
    stop()
    await session.commit([create('/a')])
    await told.promise
    assert.equal(stoppedTold, 0)
  })
  fact('a watch never tells from inside a call', async ({ session }) => {
    let inside = false
    let wrong = false
    const told = deferred()
    session.watch('/a', () => {
      wrong ||= inside
      told.resolve()
    })
    inside = true
    const committed = session.commit([create('/a')])
    inside = false
    await committed
    await told.promise
    assert.equal(wrong, false)
  })
}
