import assert from 'node:assert/strict'
import { deferred } from '@popmq/kit'
import { isMqError } from '@popmq/protocol'
import type { RegistryOp } from '../../core/registry-port.ts'
import { create, type Fact, remove, seen, set, toldUntil, unexpected } from './registry-case.ts'

export function sessionContract(fact: Fact): void {
  fact('a commit is seen by another session', async ({ session, other }) => {
    const told = toldUntil(other, '/', async () => (await other.read('/a')) !== undefined)
    await session.commit([create('/a', 'shared')])
    await told
    assert.deepEqual(await seen(other, '/a'), ['shared', 1])
  })
  fact(
    'an ephemeral node goes with its session and with no other',
    async ({ subject, session, other }) => {
      const third = await subject.openSession(unexpected)
      await session.commit([create('/a'), create('/a/mine', 'x', true)])
      const made = toldUntil(other, '/a', async () => (await other.read('/a/theirs')) !== undefined)
      await third.commit([create('/a/theirs', '', true)])
      await made
      assert.equal((await session.read('/a/mine'))?.ephemeral, true)
      assert.equal((await session.read('/a'))?.ephemeral, false)
      const told = toldUntil(other, '/a', async () => (await other.children('/a'))?.length === 1)
      await third.close()
      await told
      assert.deepEqual(await other.children('/a'), ['mine'])
    },
  )
  fact(
    'after its close a session reads nothing and commits nothing',
    async ({ session, other }) => {
      await session.close()
      await session.close()
      await assert.rejects(session.read('/'), (error: unknown) =>
        isMqError(error, 'registry_unavailable'),
      )
      await assert.rejects(session.children('/'), (error: unknown) =>
        isMqError(error, 'registry_unavailable'),
      )
      assert.deepEqual(await session.commit([create('/late')]), { kind: 'unknown' })
      assert.equal(await other.read('/late'), undefined)
    },
  )
  fact(
    'an expired session is told so once, and its ephemeral nodes go',
    async ({ subject, other }) => {
      if (subject.expire === undefined) return assert.ok(true)
      let times = 0
      const lost = deferred()
      const session = await subject.openSession(() => {
        times += 1
        lost.resolve()
      })
      const made = toldUntil(other, '/mine', async () => (await other.read('/mine')) !== undefined)
      await session.commit([create('/mine', '', true), create('/stays')])
      await made
      const told = toldUntil(other, '/mine', async () => (await other.read('/mine')) === undefined)
      await subject.expire(session)
      await Promise.all([lost.promise, told])
      assert.deepEqual(await other.children('/'), ['stays'])
      assert.deepEqual(await session.commit([create('/late')]), { kind: 'unknown' })
      await session.close()
      assert.equal(times, 1)
    },
  )
}

export function watchContract(fact: Fact): void {
  const changes: [string, RegistryOp][] = [
    ['is set', set('/a/b', 'new')],
    ['is removed', remove('/a/b')],
    ['gets a child', create('/a/b/c')],
  ]
  for (const [what, op] of changes) {
    fact(`a watch tells when its node ${what}`, async ({ session, other }) => {
      await session.commit([create('/a'), create('/a/b')])
      const look = async (): Promise<string> =>
        JSON.stringify([await seen(session, '/a/b'), await session.children('/a/b')])
      const before = await look()
      const told = toldUntil(session, '/a/b', async () => (await look()) !== before)
      assert.equal((await other.commit([op])).kind, 'applied')
      await told
      assert.notEqual(await look(), before)
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
  fact(
    'a watch that was stopped tells nothing, another on the same node does',
    async ({ session }) => {
      let stoppedTold = 0
      const told = deferred()
      const stop = session.watch('/a', () => (stoppedTold += 1))
      session.watch('/a', told.resolve)
      stop()
      stop()
      await session.commit([create('/a')])
      await told.promise
      assert.equal(stoppedTold, 0)
    },
  )
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
