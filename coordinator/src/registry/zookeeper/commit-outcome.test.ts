import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isMqError } from '@popmq/protocol'
import type { CommitOutcome, RegistryOp } from '../../core/registry-port.ts'
import { create, remove, set } from '../testing/registry-case.ts'
import { outcomeOf, transactionOps } from './commit-outcome.ts'
import { checkLibraryVersion } from './library.ts'
import { SeenZxid } from './seen-zxid.ts'

const ops: RegistryOp[] = [set('/a', 'x', 1), create('/b'), remove('/c')]
const refused = (errors: number[] | undefined): CommitOutcome =>
  outcomeOf(
    {
      kind: 'refused',
      code: -1,
      text: 'SOMETHING',
      value: errors?.map((err) => ({ err })),
    },
    ops,
  )

void test('D1: version 1 of the port is version 0 of ZooKeeper, and not any', () => {
  const versions = transactionOps(
    [set('/a', '', 1), set('/a', '', 7), remove('/a'), remove('/a', 0), remove('/a', 2 ** 40)],
    { at: (path) => `/root${path}`, acls: [] },
  ).map(({ version }) => version)
  assert.deepEqual(versions, [0, 6, -1, -2, -2])
})

void test('the first op that failed says why the commit was rejected', () => {
  assert.deepEqual(refused([0, -110, -2]), { kind: 'rejected', index: 1, reason: 'exists' })
  assert.deepEqual(refused([-103, -2, -2]), { kind: 'rejected', index: 0, reason: 'version' })
  assert.deepEqual(refused([0, 0, -101]), { kind: 'rejected', index: 2, reason: 'missing' })
  assert.deepEqual(refused([0, 0, -111]), { kind: 'rejected', index: 2, reason: 'children' })
  assert.deepEqual(refused([0, -108, -2]), { kind: 'rejected', index: 1, reason: 'children' })
})

void test('an op that is forbidden is an error which names it: nothing was done', () => {
  assert.throws(
    () => refused([0, -125, -2]),
    (error: unknown) =>
      isMqError(error, 'registry_unavailable') && /create \/b/.test(error.message),
  )
})

void test('without an answer, or refused as a whole, a commit is unknown', () => {
  assert.deepEqual(refused(undefined), { kind: 'unknown' })
  assert.deepEqual(outcomeOf({ kind: 'unanswered', why: 'cut' }, ops), { kind: 'unknown' })
})

void test('what was seen only grows, and 0 and −1 in a refusal are not the newest', () => {
  const zxid = new SeenZxid()
  const newest = Buffer.from('0000000700000009', 'hex')
  zxid.note(newest)
  for (const other of ['0000000000000000', 'ffffffffffffffff', '0000000700000008'])
    zxid.note(Buffer.from(other, 'hex'))
  assert.deepEqual(zxid.bytes, newest)
})

void test('another version of the library is refused: we reach into this one', () => {
  assert.throws(() => checkLibraryVersion('1.1.4'), /1\.1\.3/)
})
