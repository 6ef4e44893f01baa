import assert from 'node:assert/strict'
import { test } from 'node:test'
import { transcript } from '../testing/fake-surroundings.ts'

void test('a flag that is for other workloads is wrong usage, and so is what a workload cannot do', async () => {
  const expected: [string, RegExp][] = [
    ['bench pop --groups 3', /--groups is for commit/],
    ['bench commit --messages 3', /--messages is for produce, end-to-end, many-topics, pop, /],
    ['bench wake-up --no-keyed', /--keyed and --no-keyed are for produce, end-to-end, many-topics/],
    ['bench many-topics --beside stripped', /--beside is for produce, end-to-end/],
    ['bench pop --consumers 2 --processes 3', /--processes: 2 consumers are in at most as many/],
    ['bench pop-held --messages 1', /--messages: one is held, and others flow/],
    ['bench wake-up --delay 3s', /--delay: "3s" is out of range: write 1ms to 2s/],
    ['bench delayed --size 3', /--size: a value has at least 4 bytes/],
    ['bench commit --peers', /--peers is for end-to-end, pop, peers/],
    ['bench peers --batch 10', /--batch is for produce, end-to-end, many-topics, pop, /],
    ['bench pop --only redis', /--only goes with --peers/],
    ['bench end-to-end --peers --no-keyed', /--keyed does not go with --peers/],
    ['bench --peers --server localhost:1', /--server is not for peers/],
    ['bench pop --polls 3', /--polls is for idle/],
    ['bench idle --messages 3', /--messages is for produce, end-to-end, many-topics, pop, /],
    ['bench idle --connections 20000', /--connections: .* 16000/],
    ['bench growth --server localhost:1', /--server is not for growth/],
    ['bench pop --rate 3', /--rate is for latency, fan-out/],
    ['bench latency --size 19', /--size: a value has at least 20 bytes/],
    ['bench fan-out --groups 2 --processes 3', /--processes: 2 groups are in at most as many/],
    ['bench send --seconds 3', /--seconds is for latency, fan-out/],
    ['bench recovery --server localhost:1', /--server is not for recovery/],
    ['bench recovery --megabytes 0', /--megabytes: /],
    ['bench backlog --members 3', /--members is for rebalance/],
    ['bench rebalance --session 10ms', /--session: "10ms" is out of range: write 1s to 10m/],
    ['bench', /which workload\? They are produce, /],
    ['bench pop-hled', /unknown workload "pop-hled": did you mean pop-held\?/],
  ]
  for (const [line, what] of expected) {
    const { exitCode, stderr } = await transcript(line)
    assert.match(stderr, what)
    assert.equal(exitCode, 2, line)
  }
})
