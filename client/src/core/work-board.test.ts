import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Work, WorkBoard } from './work-board.ts'

interface Held {
  readonly name: number
  readonly bytes: Uint8Array
}

const options = { concurrency: 3, prefetch: 4, prefetchBytes: 100, mostPerAsk: 5 }
const leaseMs = 1_000

const step = fc.oneof(
  fc.record({ kind: fc.constant('arrive' as const), count: fc.nat(5), size: fc.nat(30) }),
  fc.record({ kind: fc.constant('pass' as const), ms: fc.nat(700) }),
  fc.record({
    kind: fc.constantFrom('begin', 'begin', 'begin', 'finish', 'settle', 'lose', 'look' as const),
    pick: fc.nat(20),
  }),
)

void test('whatever happens, its bounds hold, and each message goes one way only', () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 10, maxLength: 80 }), (steps) => {
      const board = new WorkBoard<Held>(options)
      const running: Work<Held>[] = []
      const settling: Work<Held>[] = []
      const lost = new Set<Work<Held>>()
      const inHand = new Map<number, number>()
      const leave = ({ message }: Work<Held>): void => {
        assert.ok(inHand.delete(message.name), 'a message leaves once')
      }
      let now = 0
      let name = 0
      for (const each of steps) {
        if (each.kind === 'pass') now += each.ms
        else if (each.kind === 'arrive') {
          const ask = board.ask()
          if (ask === undefined) continue
          assert.equal(board.ask(), undefined, 'one ask is under way')
          const size = Math.min(each.size, ask.maxBytes)
          const most = Math.min(each.count, ask.max, size === 0 ? 5 : ask.maxBytes / size)
          const arrived = Array.from({ length: Math.floor(most) }, () => {
            name += 1
            inHand.set(name, now)
            return { name, bytes: new Uint8Array(size) }
          })
          board.answered(arrived, { now, leaseMs })
        } else if (each.kind === 'begin') {
          const work = board.begin(now)
          if (work !== undefined) running.push(work)
        } else if (each.kind === 'finish') {
          const [work] = running.splice(each.pick % Math.max(1, running.length), 1)
          if (work === undefined) continue
          const isKept = board.finished(work, now)
          assert.equal(isKept, !lost.has(work))
          if (isKept) settling.push(work)
          else leave(work)
        } else if (each.kind === 'settle') {
          const work = settling.shift()
          if (work === undefined) continue
          board.settled(work)
          leave(work)
        } else if (each.kind === 'lose') {
          const work = running[each.pick % Math.max(1, running.length)]
          if (work !== undefined && board.lose(work)) lost.add(work)
        } else {
          board.takeOverdue(now)
          const due = board.takeExtensions(now)
          for (const work of due) {
            assert.equal(work.state, 'running')
            if (each.pick % 2 === 0) board.extended(work, { now, leaseMs })
            else board.notExtended(work, now)
          }
          for (const work of board.takeStale(now)) leave(work)
          assert.ok((board.wakesAt ?? now + 1) > now, 'what is due was done')
        }
        assert.ok(board.running <= options.concurrency)
        assert.ok(board.size <= options.concurrency + options.prefetch)
        assert.equal(board.size, inHand.size)
        assert.equal(board.running, running.length)
      }
      for (const work of board.drain()) leave(work)
      for (const work of board.abandon()) assert.ok(!lost.has(work))
      assert.equal(board.ask(), undefined)
      assert.equal(board.size, settling.length)
    }),
    { numRuns: 300 },
  )
})

const held = (name: number, size = 0): Held => ({ name, bytes: new Uint8Array(size) })

void test('it asks for what there is room for, in count and bytes, once half of what may wait is gone', () => {
  const board = new WorkBoard<Held>({ ...options, mostPerAsk: 100 })
  assert.deepEqual(board.ask(), { max: 7, maxBytes: 100 })
  board.answered([held(1, 40), held(2), held(3), held(4), held(5), held(6)], { now: 0, leaseMs })
  assert.equal(board.ask(), undefined)
  for (let begun = 0; begun < 4; begun += 1) board.begin(0)
  assert.equal(board.running, 3)
  assert.equal(board.ask(), undefined)
  const [first] = board.drain()
  assert.equal(first?.message.name, 4)
})

void test('extensions due soon are taken together with the one that is due', () => {
  const board = new WorkBoard<Held>(options)
  board.ask()
  board.answered([held(1)], { now: 0, leaseMs })
  board.begin(0)
  board.ask()
  board.answered([held(2)], { now: 100, leaseMs })
  board.begin(100)
  assert.equal(board.wakesAt, 500)
  assert.deepEqual(board.takeExtensions(499), [])
  const due = board.takeExtensions(500)
  assert.deepEqual(
    due.map(({ message }) => message.name),
    [1, 2],
  )
  assert.deepEqual(board.takeExtensions(501), [])
  for (const work of due) board.extended(work, { now: 500, leaseMs })
  assert.equal(board.wakesAt, 1_000)
})

void test('nothing waits after some had to be given back, until a handler is quick', () => {
  const board = new WorkBoard<Held>(options)
  board.ask()
  board.answered([held(1), held(2), held(3), held(4)], { now: 0, leaseMs })
  const works = [board.begin(0), board.begin(0), board.begin(0)]
  assert.equal(board.takeStale(500).length, 1)
  assert.equal(board.ask(), undefined)
  const [slow, quick] = works
  assert.ok(slow && quick)
  board.finished(slow, 900)
  board.settled(slow)
  assert.deepEqual(board.ask(), { max: 1, maxBytes: 100 })
  board.answered([held(5)], { now: 900, leaseMs })
  const next = board.begin(900)
  assert.ok(next)
  board.finished(next, 1_000)
  board.settled(next)
  assert.deepEqual(board.ask(), { max: 5, maxBytes: 100 })
})
