/** The reading process: members of groups, one each, through the public client. */
import { type Client, connect, type GroupConsumer } from '@popmq/client'
import { type Deferred, deferred, present } from '@popmq/kit'
import { sharedMs } from '../monotonic.ts'
import { takePart } from '../participant.ts'
import { Tally } from '../tally.ts'
import type { ReadAll, ReadGiven } from './sides.ts'

let client: Client | undefined
let reading: Deferred<unknown> | undefined

takePart({
  connect: async ({ servers }: { servers: string }) => {
    client = await connect(servers, { client: 'popmq-bench-reader' })
    return {}
  },
  /** Starts to read; `finish` waits for the end. */
  start: (given: ReadGiven) => {
    const to = present(client, 'connect comes before start')
    const members = given.groups.map((group) => to.pullConsumer({ group, topics: [given.topic] }))
    const finished = deferred<unknown>()
    reading = finished
    Promise.all(members.map((each) => readAll(each, given))).then(finished.resolve, finished.reject)
    return Promise.resolve({})
  },
  finish: async (): Promise<ReadAll> => {
    await present(reading, 'start comes before finish').promise
    return { lastReceiveMs: sharedMs() }
  },
})

/** Every message once, in order, and all of it committed. */
async function readAll(member: GroupConsumer, given: ReadGiven): Promise<void> {
  const tally = new Tally(given)
  while (!tally.isComplete) {
    for (const { partition, bytes } of await member.receive()) tally.take(bytes, partition)
  }
  await member.commit()
  await member.close()
}
