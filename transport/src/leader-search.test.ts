import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MqError } from '@popmq/protocol'
import { LeaderSearch } from './leader-search.ts'

const gone = new MqError('unreachable', 'nobody listens')
const standby = (leader?: string): MqError =>
  new MqError('not_coordinator', 'another leads', leader === undefined ? {} : { facts: { leader } })

/** Passes on with each error in turn. @returns whom it asked, with `|` where a round was over */
function asked(search: LeaderSearch, errors: readonly MqError[]): string {
  const seen = [search.current]
  for (const error of errors) seen.push(`${search.passOn(error) ? '|' : ''}${search.current}`)
  return seen.join(' ')
}

void test('those that do not answer are passed by, each once in a round', () => {
  const search = new LeaderSearch(['a', 'b', 'c'])
  assert.equal(asked(search, [gone, gone, gone, gone, gone, gone]), 'a b c |a b c |a')
})

void test('one alone is asked again, a round each', () => {
  assert.equal(asked(new LeaderSearch(['a']), [gone, standby()]), 'a |a |a')
})

void test('the leader that is named is asked next, also one that nobody configured', () => {
  assert.equal(asked(new LeaderSearch(['a', 'b', 'c']), [standby('c')]), 'a c')
  assert.equal(asked(new LeaderSearch(['a', 'b']), [standby('x')]), 'a x')
})

void test('a leader that is named and gone is asked once in a round', () => {
  const search = new LeaderSearch(['a', 'b'])
  const errors = [standby('x'), gone, standby('x'), standby('x'), gone]
  assert.equal(asked(search, errors), 'a x b |a x b')
})

void test('two that name each other do not keep it from the third', () => {
  const search = new LeaderSearch(['a', 'b', 'c'])
  assert.equal(asked(search, [standby('b'), standby('a'), standby('a')]), 'a b c |a')
})

void test('a chain of names ends after a few', () => {
  const search = new LeaderSearch(['a', 'b'])
  const errors = ['1', '2', '3', '4', '5'].map(standby)
  assert.equal(asked(search, errors), 'a 1 2 3 b |a')
})

void test('what answered last is asked first, in a new round', () => {
  const search = new LeaderSearch(['a', 'b', 'c'], 'b')
  assert.equal(asked(search, [gone]), 'b c')
  search.answered()
  assert.equal(asked(search, [gone, gone, gone]), 'c a b |c')
})

void test('one that nobody configured may answer last', () => {
  const search = new LeaderSearch(['a', 'b'], 'x')
  assert.equal(asked(search, [gone, gone, gone]), 'x b a |b')
})
