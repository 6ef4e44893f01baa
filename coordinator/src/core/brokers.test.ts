import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isMqError, type MqError } from '@popmq/protocol'
import { Brokers, type BrokerState } from './brokers.ts'
import type { BrokerRecord } from './registry-values.ts'

const sessionMs = 1_000
const record = (epoch: number, incarnation = 'a', id = 1): BrokerRecord => ({
  id,
  setId: id,
  epoch,
  incarnation,
  address: `b:${id}`,
})
const opening = (incarnation: string, highestEpoch = 0) => ({ id: 1, incarnation, highestEpoch })
const stateOf = (brokers: Brokers, nowMs: number): BrokerState | undefined =>
  brokers.list(nowMs)[0]?.state

function inUse(restMs: number): (error: unknown) => boolean {
  return (error) =>
    isMqError(error, 'broker_id_in_use') && (error as MqError).retryAfterMs === restMs
}

function live(): Brokers {
  const brokers = new Brokers(sessionMs)
  brokers.opened(record(5), { nowMs: 0, connection: 1 })
  return brokers
}

void test('while a session lives another process is refused, with the rest of it as the time to wait', () => {
  const brokers = live()
  assert.throws(() => brokers.checkOpen(opening('b', 5), 400), inUse(600))
  brokers.checkOpen(opening('a'), 400)
  brokers.checkOpen(opening('b'), 1_000)
  brokers.renew({ id: 1, epoch: 5, appliedVersion: 0 }, { nowMs: 900, connection: 1 })
  assert.throws(() => brokers.checkOpen(opening('b'), 1_000), inUse(900))
})

void test('a closed connection lets a new process in at once, and routes keep the broker until its session ends', () => {
  const brokers = live()
  brokers.disconnect(2)
  assert.throws(() => brokers.checkOpen(opening('b'), 10), inUse(990))
  brokers.disconnect(1)
  brokers.checkOpen(opening('b'), 10)
  assert.equal(stateOf(brokers, 999), 'detached')
  assert.deepEqual(brokers.behind(1, 999).length, 1)
  assert.equal(stateOf(brokers, 1_000), 'ended')
})

void test('an old connection that closes late does not detach a session that moved to another', () => {
  const brokers = live()
  brokers.renew({ id: 1, epoch: 5, appliedVersion: 0 }, { nowMs: 5, connection: 2 })
  brokers.disconnect(1)
  assert.equal(stateOf(brokers, 10), 'live')
})

void test('after a change of coordinator only who holds the data of the last process is let in before the time is over', () => {
  const brokers = new Brokers(sessionMs)
  brokers.restore(record(5), 0)
  assert.equal(stateOf(brokers, 10), 'recovering')
  assert.throws(() => brokers.checkOpen(opening('b', 4), 10), inUse(990))
  brokers.checkOpen(opening('b', 5), 10)
  brokers.checkOpen(opening('b', 0), 1_000)
  brokers.renew({ id: 1, epoch: 5, appliedVersion: 3 }, { nowMs: 20, connection: 1 })
  assert.equal(stateOf(brokers, 20), 'live')
})

void test('an old epoch is fenced, one that was never given shows that the registry is behind', () => {
  const brokers = live()
  brokers.opened(record(6, 'b'), { nowMs: 10, connection: 2 })
  const renew = (epoch: number) => () =>
    brokers.renew({ id: 1, epoch, appliedVersion: 0 }, { nowMs: 20, connection: 1 })
  assert.throws(renew(5), (error: unknown) => isMqError(error, 'broker_fenced'))
  assert.throws(renew(7), (error: unknown) => isMqError(error, 'registry_behind'))
  assert.equal(brokers.record(1)?.epoch, 6)
})

void test('a session ends by leaving, and comes back with a renewal under the newest epoch', () => {
  const brokers = live()
  brokers.leave(1)
  assert.equal(stateOf(brokers, 1), 'ended')
  assert.deepEqual(brokers.behind(9, 1), [])
  brokers.checkOpen(opening('b'), 1)
  brokers.renew({ id: 1, epoch: 5, appliedVersion: 0 }, { nowMs: 5, connection: 1 })
  assert.equal(stateOf(brokers, 5), 'live')
})

void test('sessions end once, at the time that was foretold', () => {
  const steps = fc.array(
    fc.record({ waitMs: fc.integer({ min: 0, max: 700 }), id: fc.integer({ min: 1, max: 3 }) }),
    { maxLength: 40 },
  )
  fc.assert(
    fc.property(steps, (all) => {
      const brokers = new Brokers(sessionMs)
      const heardMs = new Map<number, number>()
      let nowMs = 0
      for (const { waitMs, id } of all) {
        nowMs += waitMs
        const over = [...heardMs]
          .filter(([, atMs]) => nowMs >= atMs + sessionMs)
          .map(([ended]) => ended)
        assert.deepEqual(new Set(brokers.expire(nowMs).map((ended) => ended.id)), new Set(over))
        for (const ended of over) heardMs.delete(ended)
        if (heardMs.has(id))
          brokers.renew({ id, epoch: 1, appliedVersion: 0 }, { nowMs, connection: id })
        else brokers.opened(record(1, 'a', id), { nowMs, connection: id })
        heardMs.set(id, nowMs)
        assert.equal(brokers.nextEndMs, Math.min(...heardMs.values()) + sessionMs)
        assert.deepEqual(
          brokers.list(nowMs).filter(({ state }) => state === 'live').length,
          heardMs.size,
        )
      }
    }),
  )
})
