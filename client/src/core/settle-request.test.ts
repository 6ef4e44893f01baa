import assert from 'node:assert/strict'
import { test } from 'node:test'
import { limits } from '@popmq/protocol'
import { named } from './leased-message.ts'
import { SettleRequest, settleRequests } from './settle-request.ts'
import { Settlement } from './settlement.ts'

void test('requests stay within the limits, and lose no handle', () => {
  const lease = 'A'.repeat(170)
  const handles = Array.from({ length: 20_000 }, (_, index) => `1.0.${index}.${lease}`)
  const each = Array.from({ length: 9_000 }, (_, index) => {
    return `2.0.${index}.${String(index).padStart(168, 'A')}`
  })
  const settlement = new Settlement('ack', [...handles.slice(0, 9_000), ...each].map(named))
  const requests = [...settleRequests(settlement.leases)]
  const sent = requests.flatMap(({ fields }) => fields).flatMap(({ numbers }) => numbers)
  assert.equal(sent.length, 18_000)
  for (const { fields } of requests) {
    assert.ok(fields.length <= limits.messagesPerPop)
    const bytes = fields.reduce((sum, { lease: of }) => sum + of.length + 40, 0)
    assert.ok(bytes < limits.requestFieldsBytes)
  }
})

void test('what does not fit as a whole is not added, and one that is empty takes anything', () => {
  const handles = Array.from({ length: 8_001 }, (_, index) => `1.0.${index}.AAAA`)
  const { leases } = new Settlement('ack', handles.map(named))
  const request = new SettleRequest()
  assert.equal(request.tryAdd(leases), true)
  assert.equal(request.tryAdd(leases), false)
  assert.equal(request.leases.length, 1)
})
