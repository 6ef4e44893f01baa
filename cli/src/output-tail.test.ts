import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { OutputTail } from './output-tail.ts'

void test('of an endless output the last lines are kept, whole', () => {
  const tail = new OutputTail(32)
  for (let line = 0; line < 10_000; line += 1) tail.add(Buffer.from(`line ${line}\n`))
  assert.equal(tail.text(), 'line 9997\nline 9998\nline 9999')
})

void test('however it is cut into chunks, the end is the same', () => {
  const chunks = fc.array(fc.uint8Array({ maxLength: 40, min: 32, max: 126 }), { maxLength: 30 })
  fc.assert(
    fc.property(chunks, (all) => {
      const [pieces, whole] = [new OutputTail(50), new OutputTail(50)]
      for (const chunk of all) pieces.add(chunk)
      whole.add(Buffer.concat(all))
      assert.equal(pieces.text(), whole.text())
      assert.ok(pieces.text().length <= 50)
    }),
    { numRuns: 200 },
  )
})

void test('colours and blank ends are left out', () => {
  const tail = new OutputTail(100)
  tail.add(Buffer.from('\u001b[31mno stock\u001b[0m\r\n\n'))
  assert.equal(tail.text(), 'no stock')
})
