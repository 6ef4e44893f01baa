import assert from 'node:assert/strict'
import { test } from 'node:test'
import { authenticate } from './authentication.ts'

void test('the code is that of RFC 4231, cut to 16 bytes', () => {
  const code = authenticate(new Uint8Array(20).fill(0x0b), new TextEncoder().encode('Hi There'))
  assert.equal(Buffer.from(code).toString('hex'), 'b0344c61d8db38535ca8afceaf0bf12b')
})
