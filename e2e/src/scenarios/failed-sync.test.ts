/** A sync that fails: after it the kernel may say ok although the bytes are gone, so the broker ends. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { Cluster } from '../harness/cluster.ts'
import { History } from '../harness/history.ts'
import { skewedEvents } from '../harness/key-skew.ts'
import { readAll, sendInto, sightings, toMessage } from '../harness/reading.ts'
import { scenario } from '../harness/scenario.ts'

const seccomp = ['--seccomp-bpf', '-f', '-qq', '-o', '/dev/null', '-e', 'trace=fdatasync']

/** @returns why system calls cannot be made to fail here; undefined when they can */
function whyNoInjection(): string | undefined {
  try {
    execFileSync('strace', [...seccomp, '-e', 'inject=fdatasync:error=EIO', 'true'], {
      stdio: 'pipe',
    })
    return undefined
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    return `strace cannot make system calls fail (${reason.replaceAll(/\s+/g, ' ').slice(0, 200)})`
  }
}

scenario(
  'a broker whose sync fails ends with disk_failed, and what it acknowledged is there after a restart',
  async (scene, t) => {
    const problem = whyNoInjection()
    if (problem !== undefined) return t.skip(`Not run on this machine: ${problem}`)
    const cluster = await Cluster.start(scene, { brokersLater: true })
    // strace counts calls per thread, so there is one thread.
    await cluster.broker().start({
      under: ['strace', ...seccomp, '-e', 'inject=fdatasync:error=EIO:when=60+'],
      env: { UV_THREADPOOL_SIZE: '1' },
    })
    await cluster.done('topic', 'create', 'commits', '--partitions', '8')
    const client = await cluster.connect()
    const producer = client.producer({ batchMessages: 20 })
    const history = new History()
    const events = skewedEvents(6).slice(0, 8_000)
    let isOver = false
    const sending = (async () => {
      for (let start = 0; start < events.length && !isOver; start += 20) {
        const messages = events.slice(start, start + 20).map((event) => toMessage('commits', event))
        await sendInto(history, producer, messages)
      }
    })()

    const { code, stderr } = await cluster.broker().end()
    const ackedAtTheEnd = history.ackedCount
    isOver = true
    assert.equal(code, 1, stderr)
    assert.match(stderr, /^error disk_failed: .*sync .* failed \(look at the disk, .*\)$/m)
    assert.ok(ackedAtTheEnd > 0, 'something was acknowledged before the failure')
    assert.ok(ackedAtTheEnd < events.length, 'the failure fell into the traffic')

    await cluster.broker().start()
    await sending
    history.reading(sightings(await readAll(client, 'commits')), { isWhole: true })
    assert.deepEqual(history.problems(), [])
    assert.equal(
      history.ackedCount,
      ackedAtTheEnd + 20,
      'the batch under way went through after the restart',
    )
  },
)
