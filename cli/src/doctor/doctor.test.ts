import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { type Clock, systemClock } from '@popmq/kit'
import { diskChecks, percentile } from './disk.ts'
import { clockCheck, fileLimitCheck, nodeCheck, threadPoolCheck } from './machine.ts'
import { portChecks } from './ports.ts'

const folder = mkdtempSync(path.join(tmpdir(), 'popmq-doctor-'))
test.after(() => rmSync(folder, { recursive: true }))

void test('Node.js before 20.19 is not enough', () => {
  const versions = ['18.20.0', '20.18.3', '20.19.0', '22.0.0']
  assert.deepEqual(
    versions.map((version) => nodeCheck(version).ok),
    [false, false, true, true],
  )
})

void test('few open files are a fault, an unknown limit is not', () => {
  const limits = path.join(folder, 'limits')
  const check = (soft: string) => {
    writeFileSync(
      limits,
      `Limit  Soft Limit  Hard Limit  Units\nMax open files            ${soft}   4096  files\n`,
    )
    return fileLimitCheck(limits)
  }
  assert.deepEqual(
    ['1024', '20000', 'unlimited'].map((soft) => check(soft).ok),
    [false, true, true],
  )
  assert.match(check('1024').mend ?? '', /ulimit -n 4096/)
  assert.deepEqual(fileLimitCheck(path.join(folder, 'none')), {
    check: 'open files',
    ok: true,
    what: 'the limit is unknown on this system',
  })
})

void test('a pool of no more threads than Node.js has by itself is a fault', () => {
  assert.deepEqual(
    ['2', '4', '16'].map((asked) => threadPoolCheck(asked).ok),
    [false, false, true],
  )
})

/** A machine whose wall clock runs `drift` ms ahead while 250 ms pass. */
function driftingClock(startedAt: number, driftMs: number): Clock {
  let passed = false
  return {
    now: () => startedAt + (passed ? 250 + driftMs : 0),
    monotonic: () => (passed ? 250 : 0),
    after: (_delayMs, callback) => {
      passed = true
      queueMicrotask(callback)
      return { cancel: () => undefined }
    },
  }
}

void test('a clock that drifts, or stands in the past, is a fault', async () => {
  const now = Date.UTC(2026, 0, 1)
  assert.equal((await clockCheck(driftingClock(now, 2))).ok, true)
  assert.equal((await clockCheck(driftingClock(now, -400))).ok, false)
  assert.equal((await clockCheck(driftingClock(0, 0))).ok, false)
})

void test('the disk is measured where the data directory will be, and nothing is left there', async () => {
  const options = { folder: path.join(folder, 'not', 'yet'), syncs: 3, clock: systemClock }
  const before = readdirSync(folder)
  const findings = await diskChecks(options)
  assert.deepEqual(
    findings.map(({ check }) => check),
    ['disk free', 'fsync'],
  )
  assert.match(findings[1]?.what ?? '', /^3 × write 4 KiB and fdatasync: p50 \d+\.\d\d ms, p99 /)
  assert.deepEqual(readdirSync(folder), before)
})

void test('a percentile is the nearest rank', () => {
  const sorted = Array.from({ length: 100 }, (_, index) => index + 1)
  assert.deepEqual(
    [percentile(sorted, 0.5), percentile(sorted, 0.99), percentile([7], 0.99)],
    [50, 99, 7],
  )
})

void test('a port that another program uses is a fault', async () => {
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy())
    socket.resume().end('HTTP/1.1 400 Bad Request\r\n\r\n')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  const [finding] = await portChecks(address.port, systemClock)
  await new Promise((resolve) => server.close(resolve))
  assert.deepEqual([finding?.ok, finding?.what], [false, 'in use by another program'])
})
