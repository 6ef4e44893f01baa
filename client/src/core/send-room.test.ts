import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { SendRoom } from './send-room.ts'

void test('room is given in the order of asking, never beyond the bound, and to all in the end', () => {
  const sizes = fc.array(fc.tuple(fc.integer({ min: 1, max: 150 }), fc.boolean()), {
    maxLength: 60,
  })
  fc.assert(
    fc.property(sizes, (asked) => {
      const room = new SendRoom(100)
      const granted: number[] = []
      const held: number[] = []
      const check = (): void => assert.ok(room.used <= 100 || held.length === 1, 'within the bound')
      asked.forEach(([bytes, frees], index) => {
        if (room.tryTake(bytes)) {
          granted.push(index)
          held.push(bytes)
        } else {
          room.wait(bytes, () => {
            granted.push(index)
            held.push(bytes)
          })
        }
        check()
        const oldest = frees ? held.shift() : undefined
        if (oldest !== undefined) room.free(oldest)
        check()
      })
      for (let oldest = held.shift(); oldest !== undefined; oldest = held.shift()) room.free(oldest)
      assert.deepEqual(granted, [...asked.keys()])
      assert.equal(room.used, 0)
    }),
  )
})

void test('who stops waiting lets those behind pass', () => {
  const room = new SendRoom(10)
  const granted: string[] = []
  assert.ok(room.tryTake(8))
  const stop = room.wait(5, () => granted.push('large'))
  room.wait(2, () => granted.push('small'))
  assert.deepEqual(granted, [])
  stop()
  assert.deepEqual(granted, ['small'])
})
