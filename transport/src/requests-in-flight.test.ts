import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hello } from '@popmq/protocol'
import { IncomingRequest } from './incoming-request.ts'
import { RequestsInFlight } from './requests-in-flight.ts'
import { route } from './routes.ts'

const connection = { id: 1, client: 'test', remote: 'nowhere' }
const nothing = route(hello, () => undefined)

function request(correlationId: number): IncomingRequest {
  const bytes = new Uint8Array(0)
  const of = { correlationId, route: nothing, bytes, frameBytes: 0, startedMs: 0 }
  return new IncomingRequest(connection, of)
}

void test('an id in use and one request too many are refused, until an answer makes room', () => {
  const requests = new RequestsInFlight()
  assert.equal(requests.refusal(1, 2), undefined)
  const first = request(1)
  requests.add(first)
  assert.equal(requests.refusal(1, 2)?.name, 'invalid_request')
  assert.equal(requests.refusal(2, 2), undefined)
  requests.add(request(2))
  assert.equal(requests.size, 2)
  assert.equal(requests.refusal(3, 2)?.name, 'too_many_requests')
  requests.remove(first)
  assert.equal(requests.size, 1)
  assert.equal(requests.refusal(1, 2), undefined)
})

void test('when all are answered it takes requests as at first', () => {
  const requests = new RequestsInFlight()
  for (const each of [request(1), request(1)]) {
    requests.add(each)
    assert.equal(requests.size, 1)
    requests.remove(each)
    assert.equal(requests.size, 0)
  }
})

void test('all that are left are told that the connection has gone, also when that ends them', () => {
  const requests = new RequestsInFlight()
  const told: number[] = []
  for (const id of [1, 2, 3]) {
    const each = request(id)
    each.onClosed(() => {
      told.push(id)
      requests.remove(each)
    })
    requests.add(each)
  }
  requests.closed()
  assert.deepEqual(told, [1, 2, 3])
  assert.equal(requests.size, 0)
  requests.closed()
  assert.equal(told.length, 3)
})
