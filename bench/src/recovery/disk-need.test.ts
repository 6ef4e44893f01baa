import assert from 'node:assert/strict'
import { tmpdir } from 'node:os'
import { test } from 'node:test'
import { isMqError } from '@popmq/client'
import { checkDisk, neededBytes } from './disk-need.ts'

void test('what is needed grows with the log and with the stops, and leaves room for segments', () => {
  const disk = { totalBytes: 320e6 }
  assert.equal(neededBytes({ megabytes: 0, stops: 0 }, disk), 40e6)
  assert.equal(neededBytes({ megabytes: 100, stops: 0 }, disk), 165e6)
  assert.equal(neededBytes({ megabytes: 100, stops: 2 }, disk), 1_415e6)
})

void test('a log that does not fit is refused with what it needs', async () => {
  await assert.rejects(
    checkDisk(tmpdir(), { megabytes: 1e12, stops: 1 }),
    (error) => isMqError(error, 'disk_full') && /MB of log need .*--megabytes/.test(error.what),
  )
})
