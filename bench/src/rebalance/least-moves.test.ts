import assert from 'node:assert/strict'
import { test } from 'node:test'
import { leastMoves } from './least-moves.ts'

void test('who joins is given no more than an even share', () => {
  assert.equal(leastMoves([4, 4, 0], 8), 2)
  assert.equal(leastMoves([7, 7, 7, 7, 6, 6, 6, 6, 6, 6, 0], 64), 5)
  assert.equal(leastMoves([64, 0], 64), 32)
})

void test('what a member had who goes must move, and nothing else of an even share', () => {
  assert.equal(leastMoves([3, 3], 8), 2)
  assert.equal(leastMoves([6, 6, 6, 6, 6, 6, 6, 6, 5, 5], 64), 6)
})

void test('an uneven share is made even', () => {
  assert.equal(leastMoves([5, 1], 6), 2)
  assert.equal(leastMoves([], 6), 0)
})
