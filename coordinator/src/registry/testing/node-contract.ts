import assert from 'node:assert/strict'
import { type CommitOutcome, type RegistryOp, registryLimits } from '../../core/registry-port.ts'
import { applied, bytes, check, create, type Fact, remove, seen, set } from './registry-case.ts'

export function nodeContract(fact: Fact): void {
  fact(
    'the root is there and empty, and what is not there reads as undefined',
    async ({ session }) => {
      assert.deepEqual(await session.children('/'), [])
      assert.equal(await session.read('/a'), undefined)
      assert.equal(await session.children('/a'), undefined)
    },
  )
  fact(
    'a version is 1 at first, grows by 1 with each set, and starts anew after a remove',
    async ({ session }) => {
      assert.deepEqual(await session.commit([create('/a', 'one')]), applied)
      assert.deepEqual(await seen(session, '/a'), ['one', 1])
      assert.deepEqual(await session.commit([set('/a', 'two', 1)]), applied)
      assert.deepEqual(await session.commit([set('/a', 'three')]), applied)
      assert.deepEqual(await seen(session, '/a'), ['three', 3])
      assert.deepEqual(await session.commit([remove('/a', 3), create('/a', 'again')]), applied)
      assert.deepEqual(await seen(session, '/a'), ['again', 1])
    },
  )
  fact('children are told by name, sorted', async ({ session }) => {
    await session.commit([
      create('/a'),
      create('/a/c'),
      create('/a/b'),
      create('/a/b/d'),
      create('/a-b'),
    ])
    assert.deepEqual(await session.children('/a'), ['b', 'c'])
    assert.deepEqual(await session.children('/'), ['a', 'a-b'])
    await session.commit([remove('/a/c')])
    assert.deepEqual(await session.children('/a'), ['b'])
  })
  fact(
    'a value belongs to the registry: changing the bytes given or read changes nothing',
    async ({ session }) => {
      const given = bytes('kept')
      await session.commit([{ kind: 'create', path: '/a', value: given }])
      given.fill(0)
      const read = await session.read('/a')
      read?.value.fill(0)
      assert.deepEqual(await seen(session, '/a'), ['kept', 1])
    },
  )
  fact('a value of 512 KiB and a commit of 256 KiB fit', async ({ session }) => {
    const large = new Uint8Array(registryLimits.valueBytes).fill(7)
    assert.deepEqual(
      await session.commit([{ kind: 'create', path: '/large', value: large }]),
      applied,
    )
    assert.deepEqual((await session.read('/large'))?.value, large)
    const ops = Array.from({ length: 250 }, (_, index) => create(`/n${index}`, 'x'.repeat(900)))
    assert.deepEqual(await session.commit(ops), applied)
    assert.equal((await session.children('/'))?.length, 251)
  })
}

export function refusalContract(fact: Fact): void {
  const refusals: [string, RegistryOp, CommitOutcome][] = [
    ['creating what is there', create('/a'), { kind: 'rejected', index: 1, reason: 'exists' }],
    [
      'creating below nothing',
      create('/no/child'),
      { kind: 'rejected', index: 1, reason: 'missing' },
    ],
    [
      'creating below an ephemeral node',
      create('/e/child'),
      { kind: 'rejected', index: 1, reason: 'children' },
    ],
    [
      'setting what is not there',
      set('/no', ''),
      { kind: 'rejected', index: 1, reason: 'missing' },
    ],
    [
      'setting another version',
      set('/a', '', 2),
      { kind: 'rejected', index: 1, reason: 'version' },
    ],
    [
      'setting a version that no node has',
      set('/a', '', 0),
      { kind: 'rejected', index: 1, reason: 'version' },
    ],
    [
      'removing what is not there',
      remove('/no'),
      { kind: 'rejected', index: 1, reason: 'missing' },
    ],
    [
      'removing another version',
      remove('/a/b', 2),
      { kind: 'rejected', index: 1, reason: 'version' },
    ],
    [
      'removing what has children',
      remove('/a'),
      { kind: 'rejected', index: 1, reason: 'children' },
    ],
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
}

export function commitContract(fact: Fact): void {
  fact('an op sees what those before it in the commit have done', async ({ session }) => {
    const ops = [
      create('/a'),
      create('/a/b', 'x'),
      set('/a/b', 'y', 1),
      check('/a/b', 2),
      remove('/a/b', 2),
      remove('/a'),
    ]
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
      Array.from({ length: 50 }, (_, index) =>
        (index % 2 === 0 ? session : other).commit([set('/a', `${index}`, 1)]),
      ),
    )
    assert.equal(outcomes.filter(({ kind }) => kind === 'applied').length, 1)
    assert.equal((await seen(session, '/a'))?.[1], 2)
  })
  fact('many commits at once are all done', async ({ session }) => {
    await session.commit([create('/a', '0')])
    const outcomes = await Promise.all(
      Array.from({ length: 200 }, (_, index) => session.commit([set('/a', `${index}`)])),
    )
    assert.ok(outcomes.every(({ kind }) => kind === 'applied'))
    assert.deepEqual(await seen(session, '/a'), ['199', 201])
  })
}
