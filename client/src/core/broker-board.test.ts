import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Backoff } from '@popmq/kit'
import { SeededRandom } from '@popmq/kit/testing'
import { topicId } from '@popmq/protocol'
import { BrokerBoard, type PoppedBroker } from './broker-board.ts'

const orders = [topicId(1)]
const nobody: ReadonlySet<string> = new Set()

function boardOf(...addresses: string[]): BrokerBoard {
  const random = new SeededRandom(1)
  const board = new BrokerBoard(() => new Backoff(random, { firstMs: 20, mostMs: 2_000 }))
  board.route(new Map(addresses.map((address) => [address, orders])))
  return board
}

function take(board: BrokerBoard, now = 0): PoppedBroker {
  const broker = board.next(now, nobody)
  assert.ok(broker)
  return broker
}

const nothing = { count: 0, isEarly: false }

void test('brokers with messages are taken in turn, those without are hinted once and wake by it', () => {
  const board = boardOf('a', 'b')
  const [a, b] = [take(board), take(board)]
  assert.deepEqual([a.address, b.address, take(board).address], ['a', 'b', 'a'])
  board.popped(a, nothing, 0)
  board.popped(b, nothing, 0)
  assert.equal(board.next(0, nobody), undefined)
  assert.deepEqual(board.takeHints(), [a, b])
  assert.deepEqual(board.takeHints(), [])
  board.hinted(b, true)
  assert.equal(board.next(0, nobody), b)
  assert.deepEqual(board.takeHints(), [])
  board.hinted(a, false)
  assert.deepEqual(board.takeHints(), [a])
})

void test('a last look takes those that had nothing, too, but none that rests', () => {
  const board = boardOf('a', 'b', 'c')
  const [a, b, c] = [take(board), take(board), take(board)]
  board.popped(a, nothing, 0)
  board.failed(b, 0)
  board.popped(c, nothing, 0)
  board.takeHints()
  assert.equal(board.next(0, new Set(['a']), true), c)
  assert.equal(board.next(0, new Set(['a', 'c']), true), undefined)
})

void test('a promise that is not kept makes a broker rest, longer each time, until it gives something', () => {
  const board = boardOf('a', 'b')
  board.popped(take(board), { count: 1, isEarly: false }, 0)
  const b = take(board)
  let now = 0
  const rests: number[] = []
  for (let times = 0; times < 8; times += 1) {
    board.popped(b, nothing, now)
    assert.deepEqual(board.takeHints(), [b])
    board.hinted(b, true)
    board.popped(b, nothing, now)
    const wakesAt = board.wakesAt ?? 0
    rests.push(wakesAt - now)
    assert.equal(board.next(now, new Set(['a'])), undefined)
    now = wakesAt
    assert.equal(board.next(now, new Set(['a'])), b)
  }
  assert.ok((rests[0] ?? 99) <= 20 && (rests[7] ?? 0) >= 1_000, rests.join())
  board.popped(b, { count: 1, isEarly: false }, now)
  board.failed(b, now)
  assert.ok((board.wakesAt ?? 0) - now <= 20)
})

void test('a broker that is alone needs no hint, and stays ready after a whole wait', () => {
  const board = boardOf('a')
  const a = take(board)
  board.popped(a, nothing, 0)
  assert.deepEqual(board.takeHints(), [])
  assert.equal(board.next(0, nobody), a)
  board.popped(a, { count: 0, isEarly: true }, 0)
  assert.equal(board.next(0, nobody), undefined)
})

void test('routes that change void hints of those that lead other topics now, or none', () => {
  const board = boardOf('a', 'b')
  for (const broker of [take(board), take(board)]) board.popped(broker, nothing, 0)
  const [a, b] = board.takeHints()
  const both = [topicId(1), topicId(2)]
  assert.deepEqual(
    board.route(
      new Map([
        ['a', both],
        ['c', orders],
      ]),
    ),
    [a, b],
  )
  assert.equal(board.size, 2)
  // Answers to those that are gone change nothing.
  assert.ok(b)
  board.hinted(b, true)
  board.popped(b, nothing, 0)
  assert.deepEqual([take(board).address, take(board).address].toSorted(), ['a', 'c'])
  assert.deepEqual(a?.topics, both)
})

void test('one that is alone after others left is popped again, whatever it had', () => {
  const board = boardOf('a', 'b')
  for (const broker of [take(board), take(board)]) board.popped(broker, nothing, 0)
  board.route(new Map([['a', orders]]))
  assert.deepEqual(board.takeHints(), [])
  assert.equal(board.next(0, nobody)?.address, 'a')
})
