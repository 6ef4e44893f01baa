import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Scheduler } from '@popmq/kit/testing'
import { Progress } from './progress.ts'

async function drawn(isTerminal: boolean): Promise<string[]> {
  const texts: string[] = []
  const clock = new Scheduler()
  const progress = new Progress({ isTerminal, write: async (text) => void texts.push(text) }, clock)
  await clock.run(1_000)
  await progress.show({ count: 500, bytes: 250, totalBytes: 1_000 })
  await progress.show({ count: 501, bytes: 251, totalBytes: 1_000 })
  await clock.run(100)
  await progress.show({ count: 600, bytes: 2_048, totalBytes: undefined })
  await progress.clear()
  return texts
}

void test('progress is one line on a terminal, drawn at most ten times a second, then taken away', async () => {
  assert.deepEqual(await drawn(true), [
    '\r[######..................] 25 % 500 messages, 500/s\u001b[K',
    '\r2.00 KiB 600 messages, 545/s\u001b[K',
    '\r\u001b[K',
  ])
})

void test('elsewhere nothing is drawn', async () => {
  assert.deepEqual(await drawn(false), [])
})
