import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Scheduler } from '@popmq/kit/testing'
import { groupId, topicId } from '@popmq/protocol'
import { type BrokerReport, WantedReports } from './wanted-reports.ts'

const report = (count: number): BrokerReport => ({
  partitions: [],
  delayed: [{ topicId: topicId(1), count }],
})

class Asked {
  readonly clock = new Scheduler()
  wakes = 0
  readonly reports = new WantedReports({
    clock: this.clock,
    firstTicket: 100,
    wake: () => (this.wakes += 1),
  })
  readonly answers: (readonly [name: string, counts: unknown])[] = []

  ask(name: string, group: number, brokers: readonly number[]): void {
    void this.reports.ask(groupId(group), brokers).then((told) => {
      const counts = Array.from(told, ([id, { delayed }]) => [id, ...delayed.map((d) => d.count)])
      this.answers.push([name, counts])
    })
  }
}

void test('a question is answered when every broker that was asked has reported', async () => {
  const all = new Asked()
  all.ask('one', 7, [1, 2])
  assert.deepEqual([all.wakes, all.reports.isWanted(1), all.reports.isWanted(3)], [1, true, false])
  assert.deepEqual(all.reports.handOut(1), [{ ticket: 101, groupId: 7 }])
  assert.deepEqual([all.reports.isWanted(1), all.reports.handOut(1)], [false, []])
  all.reports.report(1, { ticket: 101, ...report(4) })
  await all.clock.run(10)
  assert.deepEqual(all.answers, [])
  all.reports.handOut(2)
  all.reports.report(2, { ticket: 101, ...report(5) })
  await all.clock.run(10)
  assert.deepEqual(all.answers, [
    [
      'one',
      [
        [1, 4],
        [2, 5],
      ],
    ],
  ])
})

void test('after 5 s there is what was told by then, and what comes later is passed by', async () => {
  const all = new Asked()
  all.ask('one', 7, [1, 2])
  all.reports.handOut(1)
  all.reports.handOut(2)
  all.reports.report(1, { ticket: 101, ...report(4) })
  await all.clock.run(4_999)
  assert.deepEqual(all.answers, [])
  await all.clock.run(2)
  assert.deepEqual(all.answers, [['one', [[1, 4]]]])
  all.reports.report(2, { ticket: 101, ...report(5) })
  assert.equal(all.reports.isWanted(2), false)
})

void test('who asks before any broker was told shares the ticket; afterwards there is another', async () => {
  const all = new Asked()
  all.ask('one', 7, [1])
  all.ask('two', 7, [1])
  all.ask('other', 8, [1])
  assert.deepEqual(all.reports.handOut(1), [
    { ticket: 101, groupId: 7 },
    { ticket: 102, groupId: 8 },
  ])
  all.ask('late', 7, [1])
  assert.deepEqual(all.reports.handOut(1), [{ ticket: 103, groupId: 7 }])
  all.reports.report(1, { ticket: 101, ...report(1) })
  await all.clock.run(10)
  assert.deepEqual(all.answers, [
    ['one', [[1, 1]]],
    ['two', [[1, 1]]],
  ])
})

void test('a report in parts is whole with the last, and one that nobody asked for is nothing', async () => {
  const all = new Asked()
  all.ask('one', 7, [1])
  all.reports.report(1, { ticket: 101, ...report(9) })
  all.reports.handOut(1)
  all.reports.report(2, { ticket: 101, ...report(9) })
  all.reports.report(1, { ticket: 101, more: true, ...report(1) })
  await all.clock.run(10)
  assert.deepEqual(all.answers, [])
  all.reports.report(1, { ticket: 101, ...report(2) })
  await all.clock.run(10)
  assert.deepEqual(all.answers, [['one', [[1, 1, 2]]]])
})

void test('without brokers, and after the end, an answer is empty at once', async () => {
  const all = new Asked()
  all.ask('none', 7, [])
  all.ask('held', 7, [1])
  all.reports.close()
  all.ask('closed', 7, [1])
  await all.clock.run(10)
  assert.deepEqual(all.answers.map(([name]) => name).toSorted(), ['closed', 'held', 'none'])
})
