import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Backoff } from '@popmq/kit'
import { SeededRandom } from '@popmq/kit/testing'
import { MqError, topicId } from '@popmq/protocol'
import { BrokerBoard, type PoppedBroker } from './broker-board.ts'
import { PopTurn } from './pop-turn.ts'

function boardOf(...addresses: string[]): BrokerBoard {
  const random = new SeededRandom(1)
  const board = new BrokerBoard(() => new Backoff(random, { firstMs: 20, mostMs: 2_000 }))
  board.route(new Map(addresses.map((address) => [address, [topicId(1)]])))
  return board
}

function ask(turn: PopTurn, board: BrokerBoard, now: number): PoppedBroker {
  const broker = turn.next(board, now)
  assert.ok(broker)
  turn.asked(broker, now)
  return broker
}

void test('while a broker is asked nobody else is, until it is late', () => {
  const board = boardOf('a', 'b')
  const turn = new PopTurn({ waitMs: 20_000 }, 0)
  assert.equal(ask(turn, board, 0).address, 'a')
  assert.equal(turn.next(board, 999), undefined)
  assert.equal(turn.wakesAt(999, undefined), 1_000)
  assert.equal(ask(turn, board, 1_000).address, 'b')
  assert.equal(turn.next(board, 5_000), undefined)
})

void test('a part of a ms that is left is no time to wait in: nobody is asked, and it looks again later', () => {
  const board = boardOf('a')
  const turn = new PopTurn({ waitMs: 100 }, 0)
  assert.equal(turn.next(board, 99.5), undefined)
  assert.equal(turn.isOver(99.5), false)
  assert.equal(turn.wakesAt(99.5, undefined), 100)
  assert.equal(turn.isOver(100), true)
})

void test('what is under way when time is up is waited for a little, and not for ever', () => {
  const board = boardOf('a')
  const turn = new PopTurn({ waitMs: 5_000 }, 0)
  const a = ask(turn, board, 0)
  assert.equal(turn.isOver(5_000), false)
  assert.equal(turn.isOver(6_000), true)
  assert.throws(() => turn.outcome(board), { name: 'timed_out' })
  turn.answered(a, [])
  assert.equal(turn.isOver(5_000), true)
  assert.deepEqual(turn.outcome(board), [])
})

void test('the group may turn out to be deleted once; a refusal that will not pass ends the call', () => {
  const board = boardOf('a')
  const turn = new PopTurn({ waitMs: 5_000 }, 0)
  const gone = new MqError('group_not_found', 'no such group')
  turn.failed(ask(turn, board, 0), gone)
  assert.equal(turn.fatal, undefined)
  turn.failed(ask(turn, board, 1), gone)
  assert.equal(turn.fatal, gone)
  const other = new PopTurn({ waitMs: 5_000 }, 0)
  const conflict = new MqError('subscription_conflict', 'it pulls')
  other.failed(ask(other, board, 0), conflict)
  assert.equal(other.fatal, conflict)
})
